"""Read annotations of the VGG Image Annotator (VIA): a JSON file of all photos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpscnn.training.scenes.coco import parsed_annotations
from mpscnn.training.scenes.labelled import LabelledObjects, fail
from mpscnn.training.scenes.named_objects import (
    NamedObject,
    NamedPhoto,
    labelled_by_name,
    numbers_of,
    text_of,
)
from mpscnn.training.scenes.shapes import Shape, corners, ellipse, polygon, rectangle

_WITHOUT_AREA = ("point", "line", "polyline")
#: The attributes of regions that name the class, if there are several.
_NAMES = ("label", "class", "name", "type", "category", "object")


def read_via(folder: Path, path: Path) -> LabelledObjects:
    """Return the photos of a file with their objects. Points and lines are dropped.

    Args:
        folder: the folder with the photos.
        path: the project of VIA 2, or its annotations as JSON.

    Raises ParameterError for a damaged file, a region without a class, and the errors of `labelled_by_name`.
    """
    content = parsed_annotations(path)
    content = content.get("_via_img_metadata", content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        fail(path, "must be an object with an entry for each photo")
    photos = []
    for key, entry in content.items():
        place = f"{path}: {key:.80}"
        regions = entry.get("regions") if isinstance(entry, dict) else None
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        if not isinstance(regions, list):
            fail(place, "must be an object with 'filename' and 'regions'")
        objects = [_object(f"{place}: regions[{number}]", one) for number, one in enumerate(regions)]
        photos.append(NamedPhoto(place, text_of(place, entry, "filename"), None, objects))
    return labelled_by_name(folder, photos)


def _object(place: str, entry: Any) -> NamedObject:
    shape, named = (
        entry.get(key) if isinstance(entry, dict) else None
        for key in ("shape_attributes", "region_attributes")
    )
    if not isinstance(shape, dict) or not isinstance(named or {}, dict):
        fail(place, "must be an object with the objects 'shape_attributes' and 'region_attributes'")
    label, kind = _label(place, named or {}), shape.get("name")
    if kind in _WITHOUT_AREA:
        return NamedObject(place, label, None)
    found = _shape(place, kind, shape)
    return NamedObject(place, label, found, corners(found) if kind == "rect" else None)


def _label(place: str, attributes: Mapping[str, Any]) -> str:
    """Return the class: the only attribute, or the one that is called like a class."""
    named = [key for key in attributes if key.lower() in _NAMES]
    keys = named if len(named) == 1 else list(attributes)
    if len(keys) != 1:
        fail(
            place,
            f"the attributes {', '.join(map(repr, attributes)) or '(none)'} do not tell the class: call one of them "
            f"{_NAMES[0]!r}",
        )
    value = attributes[keys[0]]
    if isinstance(value, dict):  # check boxes
        chosen = [name for name, is_chosen in value.items() if is_chosen]
        value = chosen[0] if len(chosen) == 1 else None
    if not isinstance(value, str) or not value.strip():
        fail(place, f"{keys[0]!r} must be the name of a class, got {attributes[keys[0]]!r:.60}")
    return value.strip()


def _shape(place: str, kind: Any, given: Mapping[str, Any]) -> Shape:
    def values(*names: str) -> list[float]:
        return numbers_of(place, [given.get(name) for name in names], " and ".join(names))

    if kind == "rect":
        x, y, width, height = values("x", "y", "width", "height")
        return rectangle(x, y, x + width, y + height)
    if kind == "circle":
        x, y, radius = values("cx", "cy", "r")
        return ellipse(x, y, radius, radius)
    if kind == "ellipse" and not given.get("theta"):
        return ellipse(*values("cx", "cy", "rx", "ry"))
    if kind == "polygon":
        xs, ys = given.get("all_points_x"), given.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or len(xs) < 3:
            fail(place, "all_points_x and all_points_y must be lists of three or more numbers each")
        flat = numbers_of(
            place, [number for pair in zip(xs, ys, strict=True) for number in pair], "the points"
        )
        return polygon(flat)
    return fail(place, f"a shape {kind!r} is not read; known are rect, circle, ellipse and polygon")
