"""Read annotations of objects in the format of Create ML: a JSON file with a list of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpscnn._private.arguments import is_finite_number
from mpscnn.training.scenes.coco import parsed_annotations
from mpscnn.training.scenes.labelled import LabelledObjects, ObjectList, fail, find_photo

#: Apple's names of the fields: those of the Create ML app, and of the framework's documentation.
_PHOTO, _OBJECTS = ("image", "imagefilename"), ("annotations", "annotation")
_CENTRE = ("x", "y", "width", "height")
_MAX_INDENT = 4096


def is_createml(path: Path) -> bool:
    """Return True if a file can be read and begins with a list of JSON. COCO's files begin with an object."""
    try:
        with path.open("rb") as file:
            start = file.read(_MAX_INDENT)
    except (OSError, ValueError):
        return False  # reading the file says what is wrong
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def read_createml(folder: Path, path: Path) -> LabelledObjects:
    """Return the photos of a Create ML file with their objects. Classes have the order of their names.

    A box has its centre, width and height in pixels of the upright photo.

    Args:
        folder: the folder with the photos.
        path: the JSON file.

    Raises:
        ParameterError: the file is damaged, a photo does not exist or has two entries, or a box has no area.
    """
    entries = parsed_annotations(path)
    read = [(f"{path}: [{number}]", entry) for number, entry in enumerate(entries)]
    objects = [(*_objects(place, entry), place, entry) for place, entry in read]
    names = sorted({label for labels, *_ in objects for label in labels})
    numbers = {name: number for number, name in enumerate(names)}
    photos = []
    for labels, boxes, place, entry in objects:
        found = ObjectList(None)
        for number, (label, box) in enumerate(zip(labels, boxes, strict=True)):
            found.add(f"{place}: {_OBJECTS[0]}[{number}]", box, numbers[label])
        photo = find_photo(folder, _text(place, entry, _PHOTO), place)
        photos.append(found.photo(photo, place, (0, 0)))
    return LabelledObjects(tuple(names), tuple(photos))


def _objects(place: str, entry: Any) -> tuple[list[str], list[tuple[float, float, float, float]]]:
    """Return the labels and the boxes (left, top, right, bottom) of a photo's entry."""
    if not isinstance(entry, dict):
        fail(place, f"must be an object with {_PHOTO[0]!r} and {_OBJECTS[0]!r}")
    listed: Any = next((entry[name] for name in _OBJECTS if name in entry), [])
    if not isinstance(listed, list):
        fail(place, f"{_OBJECTS[0]!r} must be a list")
    labels, boxes = [], []
    for number, one in enumerate(listed):
        inner = f"{place}: {_OBJECTS[0]}[{number}]"
        if not isinstance(one, dict) or not isinstance(one.get("coordinates"), dict):
            fail(inner, "must be an object with 'label' and 'coordinates'")
        given = [one["coordinates"].get(name) for name in _CENTRE]
        if not all(map(is_finite_number, given)):
            fail(inner, f"'coordinates' must have {', '.join(_CENTRE)} as finite numbers")
        x, y, width, height = map(float, given)
        labels.append(_text(inner, one, ("label",)))
        boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return labels, boxes


def _text(place: str, entry: dict[str, Any], names: tuple[str, ...]) -> str:
    value = next((entry[name] for name in names if name in entry), None)
    if not isinstance(value, str) or not value:
        fail(place, f"{names[0]!r} must be a text, got {value!r}")
    return value
