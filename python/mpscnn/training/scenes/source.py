"""Recognise the format of annotations of objects by their place."""

from __future__ import annotations

import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn._private.files import is_folder
from mpscnn.training.scenes.coco import read_coco, read_coco_parts
from mpscnn.training.scenes.createml import is_createml, read_createml
from mpscnn.training.scenes.csv_table import read_csv_table
from mpscnn.training.scenes.cvat import read_cvat
from mpscnn.training.scenes.label_studio import read_label_studio
from mpscnn.training.scenes.labelled import LabelledObjects, fail, require_pixels
from mpscnn.training.scenes.labelme import read_labelme
from mpscnn.training.scenes.via import read_via
from mpscnn.training.scenes.voc import read_voc
from mpscnn.training.scenes.yolo import read_yolo

_SETTINGS = (".yaml", ".yml")
_START = 1 << 16


_READERS: dict[str, Callable[[Path, Path], LabelledObjects]] = {
    "coco parts": read_coco_parts,
    "createml": read_createml,
    "csv": read_csv_table,
    "cvat": read_cvat,
    "label studio": read_label_studio,
    "labelme": read_labelme,
    "via": read_via,
    "voc": read_voc,
}


def annotations_path(given: str | PathLike[str]) -> Path:
    """Return the place of annotations that a user gave. Raises ParameterError for anything but a path."""
    return Path(path_name("annotations", given, "json.dump writes a mapping of COCO to a .json file"))


def annotation_format(path: Path) -> str:
    """Return the format of annotations: "coco", "coco parts" for a folder of a file for each part, or another reader.

    Raises ParameterError if there are no annotations.
    """
    if path.suffix.lower() == ".json":
        return _json_format(path)
    if path.suffix.lower() == ".csv":
        return "csv"
    if path.suffix.lower() == ".xml" and not is_folder(path):
        return "cvat"
    if path.suffix.lower() in _SETTINGS:
        return "yolo"
    if not is_folder(path):
        fail(path, "is neither a folder nor a .json, .yaml, .xml or .csv file, or does not exist")
    if any(path.rglob("*.xml")):
        return "voc"
    if any(path.rglob("*.txt")):
        return "yolo"
    first = next(path.rglob("*.json"), None)
    if first is not None and _json_format(first) == "labelme":
        return "labelme"
    return "coco parts" if any(path.glob("*.json")) else "yolo"


def _json_format(path: Path) -> str:
    """Return the format of a JSON file by its beginning. A file that cannot be read counts as COCO's."""
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except (OSError, ValueError):
        return "coco"
    if is_createml(path):
        return "label studio" if re.search(rb'"(data|result|completed_by)"\s*:', start) else "createml"
    if re.search(rb'"(shape_attributes|_via_img_metadata|_via_settings)"', start):
        return "via"
    return "labelme" if re.search(rb'"(shapes|imagePath)"\s*:', start) else "coco"


def read_objects(
    photos: str | PathLike[str] | None,
    annotations: str | PathLike[str],
    *,
    need_all: bool = True,
    measures: bool = False,
    trains: bool = True,
) -> LabelledObjects:
    """Return photos with their objects, from annotations in the format of COCO, YOLO, Pascal VOC or Create ML.

    Training and evaluation read annotations by this function, with the same checks.

    Args:
        photos: the folder with the photos; None: the photos of a data.yaml.
        annotations: a .json file of COCO or a folder with one for each part, a .json file of Create ML, a folder of
            .xml files of VOC, or a folder of .txt files or a data.yaml of YOLO.
        need_all: False if photos of a COCO file may be missing, because the caller reports each of them.
        measures: True for an evaluation, which reads only the part of a data.yaml that it measures with.
        trains: False for the photos for validation of a training, whose data.yaml needs none for training.

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
    if folder is None and path.suffix.lower() not in _SETTINGS:
        fail(path, "needs the folder with the photos; only a data.yaml of YOLO names it")
    if folder is None or form == "yolo":
        found = read_yolo(folder, path, measures=measures, trains=trains)
    elif form == "coco":
        found = read_coco(folder, path, need_all=need_all)
    else:
        found = _READERS[form](folder, path)
    if not found.photos:
        fail(path, "has no photos")
    found.require_different_photos()
    if not found.counts().any():
        need = "nothing can be measured" if measures else "a detector needs some to learn from"
        fail(path, f"has no objects; {need}")
    require_pixels(
        path,
        np.concatenate(
            [photo.boxes for photo in found.photos if photo.size is not None] or [np.zeros((0, 4))]
        ),
    )
    return found
