"""Recognise the format of annotations of objects by their place."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn._private.files import is_folder
from mpscnn.training.scenes.coco import read_coco, read_coco_parts
from mpscnn.training.scenes.createml import is_createml, read_createml
from mpscnn.training.scenes.labelled import LabelledObjects, fail, require_pixels
from mpscnn.training.scenes.voc import read_voc
from mpscnn.training.scenes.yolo import read_yolo

_SETTINGS = (".yaml", ".yml")


_READERS: dict[str, Callable[[Path, Path], LabelledObjects]] = {
    "coco parts": read_coco_parts,
    "createml": read_createml,
    "voc": read_voc,
    "yolo": read_yolo,
}


def annotations_path(given: str | PathLike[str]) -> Path:
    """Return the place of annotations that a user gave. Raises ParameterError for anything but a path."""
    return Path(path_name("annotations", given, "json.dump writes a mapping of COCO to a .json file"))


def annotation_format(path: Path) -> str:
    """Return the format of annotations: "coco", "coco parts" for a folder of a file for each part, or another reader.

    Raises ParameterError if there are no annotations.
    """
    if path.suffix.lower() == ".json":
        return "createml" if is_createml(path) else "coco"
    if path.suffix.lower() in _SETTINGS:
        return "yolo"
    if not is_folder(path):
        fail(path, "is neither a folder nor a .json or .yaml file, or does not exist")
    if any(path.rglob("*.xml")):
        return "voc"
    return "coco parts" if any(path.glob("*.json")) and not any(path.rglob("*.txt")) else "yolo"


def read_objects(
    photos: str | PathLike[str] | None, annotations: str | PathLike[str], *, need_all: bool = True
) -> LabelledObjects:
    """Return photos with their objects, from annotations in the format of COCO, YOLO, Pascal VOC or Create ML.

    Training and evaluation read annotations by this function, with the same checks.

    Args:
        photos: the folder with the photos; None: the photos of a data.yaml.
        annotations: a .json file of COCO or a folder with one for each part, a .json file of Create ML, a folder of
            .xml files of VOC, or a folder of .txt files or a data.yaml of YOLO.
        need_all: False if photos of a COCO file may be missing, because the caller reports each of them.

    Raises:
        ParameterError: there are no such annotations, they have no object, or an entry is wrong. The message names the
            file and the entry or line.
        ImageError: the folder has no photos.
    """
    folder = None if photos is None else Path(path_name("photos", photos))
    path = annotations_path(annotations)
    if folder is not None and not is_folder(folder):
        fail(folder, "is not a folder with photos")
    form = annotation_format(path)
    if folder is None:
        if path.suffix.lower() not in _SETTINGS:
            fail(path, "needs the folder with the photos; only a data.yaml of YOLO names it")
        found = read_yolo(None, path)
    elif form == "coco":
        found = read_coco(folder, path, need_all=need_all)
    else:
        found = _READERS[form](folder, path)
    if not found.photos:
        fail(path, "has no photos")
    found.require_different_photos()
    if not found.counts().any():
        fail(path, "has no objects; a detector needs some to learn from")
    require_pixels(
        path,
        np.concatenate(
            [photo.boxes for photo in found.photos if photo.size is not None] or [np.zeros((0, 4))]
        ),
    )
    return found
