"""Measure a model on labelled photos with one call: `mpscnn.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.evaluation.classifier import Evaluation, evaluate_classifier, require_model, require_task
from mpscnn.evaluation.photo_stream import Failed
from mpscnn.model import Model
from mpscnn.training.scenes.yolo_parts import is_settings

if TYPE_CHECKING:
    from mpscnn.evaluation.detector import DetectorEvaluation
    from mpscnn.evaluation.labels import LabelEvaluation
    from mpscnn.evaluation.segmenter import SegmenterEvaluation


@overload
def evaluate(
    model: Model,
    samples: str | PathLike[str],
    *,
    annotations: str | PathLike[str] | None = None,
    inflight: int = 3,
    failed: Failed | None = None,
) -> DetectorEvaluation: ...
@overload
def evaluate(
    model: Model,
    samples: str | PathLike[str],
    *,
    masks: str | PathLike[str],
    inflight: int = 3,
    failed: Failed | None = None,
) -> SegmenterEvaluation: ...
@overload
def evaluate(
    model: Model,
    samples: str | PathLike[str],
    *,
    labels: str | PathLike[str],
    inflight: int = 3,
    failed: Failed | None = None,
) -> LabelEvaluation: ...
@overload
def evaluate(
    model: Model,
    samples: Any,
    classes: Any = None,
    *,
    preprocess: Mapping[str, Any] | None = None,
    inflight: int = 3,
    failed: Failed | None = None,
) -> Evaluation: ...
@accept_foreign_arguments
def evaluate(
    model: Model,
    samples: Any,
    classes: Any = None,
    *,
    annotations: str | PathLike[str] | None = None,
    masks: str | PathLike[str] | None = None,
    labels: str | PathLike[str] | None = None,
    preprocess: Mapping[str, Any] | None = None,
    inflight: int = 3,
    failed: Failed | None = None,
) -> Evaluation | DetectorEvaluation | SegmenterEvaluation | LabelEvaluation:
    """Run a model on labelled photos, and compare the results with the labels.

    Args:
        model: a classifier, a detector with `annotations`, a segmenter with `masks`, or a model of tags,
            numbers or points with `labels`.
        samples: for a classifier a folder with one folder of photos for each class, named after its label or number; a
            pattern such as "photos/*/*.jpg"; an `ImageFolder`; or pairs of a photo (see `mpscnn.photo.open_photo`) and
            its class, the number, or the label if no other class has it. A path without a class has that of its folder.
            If a data set is split into train, val and test, the photos for testing are taken, otherwise those for
            validation. For a detector and a segmenter: the folder with the photos; or a data.yaml, which names
            photos and annotations.
        classes: for a classifier: the class of each photo in `samples`. The pair (samples, array of classes) may be
            given as `samples`, too.
        annotations: the objects on the photos, in the format of COCO, YOLO, Pascal VOC or Create ML: see
            `mpscnn.evaluate_detector`.
        masks: the folder with a PNG file of class numbers for each photo: see `mpscnn.evaluate_segmenter`. Or
            annotations of objects with outlines, in the formats of `annotations`.
        labels: for a model of tags, numbers or points: a CSV file with the labels of the photos in the folder `samples`
            (docs/training.md, "Tags, numbers and points").
        preprocess: for a classifier: replaces the model's own preprocessing (docs/preprocessing.md).
        inflight: the number of photos in progress, see `mpscnn.Runner`.
        failed: a function that is called with a photo and the error if the photo cannot be used. The photo is not
            counted. None: the error is raised.

    Raises:
        ParameterError: the model has no such class, there are no photos, or arguments exclude each other.
        ShapeError: the labels are not those of the model's task; the message names the right call.
        ImageError: a folder cannot be read, or has no photos.
    """
    require_model(model)
    if labels is not None or (model.answers is not None and annotations is None and masks is None):
        if classes is not None or annotations is not None or masks is not None or preprocess is not None:
            raise ParameterError("evaluate: labels= is the only source of labels, and excludes preprocess=")
        if labels is None:
            raise ShapeError(
                f"network {model.name!r} has {model.answers['kind'] if model.answers else ''} and no classes: "
                "mpscnn.evaluate(model, photos, labels='labels.csv') measures it"
            )
        from mpscnn.evaluation.labels import evaluate_labels

        places = Path(path_name("photos", samples)), Path(path_name("labels", labels))
        return evaluate_labels(model, *places, inflight=inflight, failed=failed)
    if classes is not None:
        if annotations is not None or masks is not None:
            raise ParameterError("evaluate takes one of classes, annotations= and masks=")
        samples = samples, np.asarray(classes)
    if model.task == "detection" and masks is None and is_settings(samples):
        if annotations is not None:
            raise ParameterError(f"evaluate: {samples} has the annotations itself; leave annotations= out")
        samples, annotations = None, samples
    if model.task == "segmentation" and annotations is None and is_settings(samples):
        if masks is not None:
            raise ParameterError(f"evaluate: {samples} has the outlines itself; leave masks= out")
        samples, masks = None, samples
    if annotations is None and masks is None:
        require_task(model, "classification")
        return evaluate_classifier(model, samples, preprocess=preprocess, inflight=inflight, failed=failed)
    if preprocess is not None or (annotations is not None and masks is not None):
        raise ParameterError("evaluate takes one of annotations=, masks= and preprocess=")
    if annotations is not None:
        from mpscnn.evaluation.detector import evaluate_detector

        return evaluate_detector(model, samples, annotations, inflight=inflight, failed=failed)
    from mpscnn.evaluation.segmenter import evaluate_segmenter, pair_photos_and_masks

    photos = None if samples is None else Path(path_name("photos", samples))
    masked = Path(path_name("masks", masks))
    require_task(model, "segmentation")
    pairs = pair_photos_and_masks(model, photos, masked, failed)
    return evaluate_segmenter(model, pairs, inflight=inflight, failed=failed)
