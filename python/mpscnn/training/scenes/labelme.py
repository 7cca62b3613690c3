"""Read annotations of labelme: a JSON file for each photo."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mpscnn._private.files import is_folder
from mpscnn.training.scenes.coco import parsed_annotations
from mpscnn.training.scenes.labelled import LabelledObjects, fail
from mpscnn.training.scenes.named_objects import (
    NamedObject,
    NamedPhoto,
    labelled_by_name,
    points_of,
    size_of,
    text_of,
)
from mpscnn.training.scenes.shapes import Shape, ellipse, polygon, rectangle

_WITHOUT_AREA = ("point", "points", "line", "linestrip")


def read_labelme(folder: Path, annotations: Path) -> LabelledObjects:
    """Return the photos of all files with their objects. Points and lines are dropped.

    Args:
        folder: the folder with the photos.
        annotations: the folder of the .json files, or one of them.

    Raises ParameterError for a damaged file, an unknown kind of shape, and the errors of `labelled_by_name`.
    """
    files = sorted(annotations.rglob("*.json")) if is_folder(annotations) else [annotations]
    return labelled_by_name(folder, [_photo(file) for file in files])


def _photo(file: Path) -> NamedPhoto:
    entry = parsed_annotations(file)
    shapes = entry.get("shapes") if isinstance(entry, dict) else None
    if not isinstance(shapes, list):
        fail(file, "is not a file of labelme, which has 'shapes' and 'imagePath'")
    objects = [_object(f"{file}: shapes[{number}]", one) for number, one in enumerate(shapes)]
    name = text_of(str(file), entry, "imagePath")
    return NamedPhoto(str(file), name, size_of(entry, "imageWidth", "imageHeight"), objects)


def _object(place: str, entry: Any) -> NamedObject:
    if not isinstance(entry, dict):
        fail(place, f"must be an object, got {entry!r:.60}")
    kind = entry.get("shape_type") or "polygon"
    label = text_of(place, entry, "label")
    if kind in _WITHOUT_AREA:
        return NamedObject(place, label, None)
    points = points_of(place, entry.get("points"))
    shape: Shape
    if kind == "polygon" and len(points) >= 3:
        shape = polygon(points)
    elif kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        shape = rectangle(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    elif kind == "rectangle" and len(points) == 4:
        shape = polygon(points)
    elif kind == "circle" and len(points) == 2:
        (x, y), end = points
        radius = math.dist((x, y), end)
        shape = ellipse(x, y, radius, radius)
    else:
        fail(
            place,
            f"a shape {kind!r} of {len(points)} points is not read; known are polygon, rectangle and circle",
        )
    return NamedObject(place, label, shape)
