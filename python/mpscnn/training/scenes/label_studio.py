"""Read annotations of Label Studio: the JSON file of its export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mpscnn._private.files import is_file
from mpscnn.training.scenes.coco import parsed_annotations
from mpscnn.training.scenes.labelled import LabelledObjects, fail
from mpscnn.training.scenes.named_objects import (
    NamedObject,
    NamedPhoto,
    labelled_by_name,
    numbers_of,
    objects_in,
    points_of,
    size_of,
)
from mpscnn.training.scenes.shapes import Shape, corners, ellipse, polygon, rectangle, rotated

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
_KINDS = ("rectanglelabels", "polygonlabels", "ellipselabels")
_KEYPOINT = "keypointlabels"
_WITHOUT_CLASS = ("choices", "textarea", "rating")


def read_label_studio(folder: Path, path: Path) -> LabelledObjects:
    """Return the photos of a file with their objects, of the last annotation of each photo. Keypoints are dropped.

    Args:
        folder: the folder with the photos.
        path: the JSON file, in the format "JSON" of Label Studio's export.

    Raises ParameterError for a damaged file, an unknown kind of label, and the errors of `labelled_by_name`.
    """
    tasks = parsed_annotations(path)
    photos = [_photo(folder, f"{path}: [{number}]", task) for number, task in enumerate(tasks)]
    return labelled_by_name(folder, photos)


def _photo(folder: Path, place: str, task: Any) -> NamedPhoto:
    data = task.get("data") if isinstance(task, dict) else None
    names = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    if not names:
        fail(place, "must be an object with 'data', which names the photo")
    made = [one for one in objects_in(place, task, "annotations") if not one.get("was_cancelled")]
    results = objects_in(place, made[-1], "result") if made else []
    found = [
        _object(f"{place}: result[{number}]", one)
        for number, one in enumerate(results)
        if one.get("type") not in _WITHOUT_CLASS
    ]
    sizes = [size_of(one, "original_width", "original_height") for one in results]
    try:
        address = urlsplit(names[0])
    except ValueError as error:
        fail(place, f"'data' must name the photo, got {names[0][:60]!r}: {error}")
    name = unquote(parse_qs(address.query).get("d", [address.path])[0])  # ?d= is a file on the server's disk
    size = next(filter(None, sizes), None)
    return NamedPhoto(place, _own_name(folder, name), size, found)


def _own_name(folder: Path, path: str) -> str:
    """Return the path of a photo; without the eight digits before an upload's name, if the folder has that photo."""
    name = path.rpartition("/")[2]
    plain = _UPLOAD.sub("", name)
    return plain if plain != name and not is_file(folder / name) and is_file(folder / plain) else path


def _object(place: str, one: Any) -> NamedObject:
    kind, value = one.get("type"), one.get("value")
    if kind not in (*_KINDS, _KEYPOINT) or not isinstance(value, dict):
        fail(place, f"a result {kind!r} is not read; known are {', '.join(_KINDS)}. Brushes: export as COCO")
    labels, size = value.get(kind), size_of(one, "original_width", "original_height")
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        fail(place, f"{kind!r} must have one class, got {labels!r:.60}")
    if kind == _KEYPOINT:
        return NamedObject(place, labels[0], None)
    if size is None:
        fail(place, "has no original_width and original_height")
    shape = _shape(place, kind, value, size)
    is_plain = kind == _KINDS[0] and not value.get("rotation")
    return NamedObject(place, labels[0], shape, corners(shape) if is_plain else None)


def _shape(place: str, kind: str, value: dict[str, Any], size: tuple[int, int]) -> Shape:
    wide, high = (side / 100 for side in size)  # numbers are per cent of the photo's sides
    if kind == "polygonlabels":
        points = points_of(place, value.get("points"))
        if len(points) < 3:
            fail(place, "a polygon must have three or more points")
        return polygon([(x * wide, y * high) for x, y in points])
    names = ("x", "y", "width", "height") if kind == "rectanglelabels" else ("x", "y", "radiusX", "radiusY")
    x, y, horizontal, vertical = numbers_of(place, [value.get(name) for name in names], ", ".join(names))
    x, y, horizontal, vertical = x * wide, y * high, horizontal * wide, vertical * high
    (angle,) = numbers_of(place, [value.get("rotation") or 0], "rotation")
    if kind == "rectanglelabels":
        return rotated(rectangle(x, y, x + horizontal, y + vertical), angle, x, y)
    return rotated(ellipse(x, y, horizontal, vertical), angle, x, y)
