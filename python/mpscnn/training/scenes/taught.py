"""Add what a trained detector, the teacher, finds on photos to their labelled objects: pseudo-labels.

Sohn et al. 2020, "A Simple Semi-Supervised Learning Framework for Object Detection", take boxes with high scores as
labels of photos without any. Here they fill the gaps of the labels, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpscnn._private.names import shown_names
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.model import Model
from mpscnn.training.scenes.average_precision import overlaps_of
from mpscnn.training.scenes.labelled import LabelledPhoto
from mpscnn.training.scenes.photos import opened_as_labelled

#: The lowest score of an object that is learned, and the overlap (IoU) from which it is a labelled one.
SCORE, _SAME = 0.5, 0.5


def add_found(
    photos: Sequence[LabelledPhoto], labels: Sequence[str], teacher: Model, name: str
) -> tuple[list[LabelledPhoto], int]:
    """Return the photos with the objects that the teacher finds beside the labelled ones, and the number of these.

    Args:
        photos: the photos that train.
        labels: the classes that are trained. Objects of the teacher's other classes are left out.
        teacher: the detector.
        name: how the user named it.

    Raises:
        UnsupportedError: the teacher is not a detector.
        ParameterError: it has none of the classes by their names.
        ImageError: a photo cannot be read.
    """
    if teacher.task != "detection":
        raise UnsupportedError(f"teacher: {name} is not a detector, but for {teacher.task}")
    known = {label: number for number, label in enumerate(labels)}
    if not known.keys() & set(teacher.labels or ()):
        raise ParameterError(f"teacher: {name} has none of the classes {shown_names(list(labels))}")
    taught = [_with_found(photo, known, teacher) for photo in photos]
    count = sum(len(new.boxes) - len(old.boxes) for new, old in zip(taught, photos, strict=True))
    return taught, count


def _with_found(photo: LabelledPhoto, known: dict[str, int], teacher: Model) -> LabelledPhoto:
    opened = opened_as_labelled(photo)
    found = [one for one in teacher.detect(opened.pixels, score_threshold=SCORE) if one.label in known]
    boxes = np.asarray([one.box for one in found], np.float64).reshape(-1, 4)
    boxes = np.clip(boxes, 0, np.tile(opened.size, 2))
    new = (boxes[:, :2] < boxes[:, 2:]).all(1)
    new &= ~(overlaps_of(boxes, photo.boxes_in_pixels(opened.size)) >= _SAME).any(1)
    boxes, added = boxes[new], int(new.sum())
    classes = np.asarray([known[one.label] for one in found], np.int64)[new]
    unit = np.tile(opened.size, 2) if photo.size is None else np.ones(4)
    return replace(
        photo,
        boxes=np.concatenate([photo.boxes, boxes / unit]),
        classes=np.concatenate([photo.classes, classes]),
        difficult=None if photo.difficult is None else np.append(photo.difficult, np.zeros(added, bool)),
        areas=None,
        shapes=None if photo.shapes is None else (*photo.shapes, *[None] * added),
    )
