"""Photos whose objects have names of classes, as tools for annotations write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.arguments import is_finite_number
from mpscnn.training.scenes.labelled import LabelledObjects, ObjectList, fail, find_photo
from mpscnn.training.scenes.shapes import Shape


@dataclass(frozen=True)
class NamedObject:
    """An object, with the name of its class. `shape` is None for an entry without an area, such as a point."""

    place: str
    label: str
    shape: Shape | None
    edges: Sequence[float] | None = None
    """Left, top, right and bottom of an entry that is only a box, and no outline."""


@dataclass(frozen=True)
class NamedPhoto:
    """The name of a photo, its (width, height) or None, and its objects."""

    place: str
    name: str
    size: tuple[int, int] | None
    objects: Sequence[NamedObject]


def labelled_by_name(folder: Path, photos: Sequence[NamedPhoto]) -> LabelledObjects:
    """Return the photos of a folder with their objects. Classes have the order of their names.

    Raises ParameterError for a photo that does not exist, and the errors of `ObjectList.add`.
    """
    names = sorted({one.label for photo in photos for one in photo.objects})
    numbers = {name: number for number, name in enumerate(names)}
    found = []
    for photo in photos:
        objects = ObjectList(photo.size)
        for one in photo.objects:
            if one.shape is None:
                objects.dropped += 1
                continue
            edges = one.shape.edges() if one.edges is None else one.edges
            shape = one.shape if one.edges is None else None
            objects.add(one.place, edges, numbers[one.label], shape=shape)
        path = find_photo(folder, photo.name, photo.place)
        found.append(objects.photo(path, photo.place, photo.size or (0, 0)))
    return LabelledObjects(tuple(names), tuple(found))


def objects_in(place: str, entry: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list of an entry; [] if it has none. Raises ParameterError for anything else."""
    value = entry.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        fail(place, f"{key!r} must be a list of objects, got {value!r:.60}")
    return value


def text_of(place: str, entry: Mapping[str, Any], key: str) -> str:
    """Return a text of an entry. Raises ParameterError for anything else."""
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        fail(place, f"{key!r} must be a text, got {value!r:.60}")
    return value.strip()


def numbers_of(place: str, values: Sequence[Any], what: str) -> list[float]:
    """Return finite numbers. Raises ParameterError, which calls them `what`, for anything else."""
    if not all(map(is_finite_number, values)):
        fail(place, f"{what} must be finite numbers, got {list(values)!r:.80}")
    return [float(value) for value in values]


def points_of(place: str, values: Any) -> list[tuple[float, float]]:
    """Return pairs of x and y. Raises ParameterError for anything else."""
    if not isinstance(values, list) or not all(isinstance(one, list) and len(one) == 2 for one in values):
        fail(place, f"the points must be pairs of x and y, got {values!r:.80}")
    flat = numbers_of(place, [number for one in values for number in one], "the points")
    return list(zip(flat[::2], flat[1::2], strict=True))


def size_of(entry: Mapping[str, Any], width: str, height: str) -> tuple[int, int] | None:
    """Return (width, height) of an entry; None if it has none, or zeros."""
    sides = entry.get(width), entry.get(height)
    if not all(is_finite_number(side) and side > 0 for side in sides):
        return None
    return int(sides[0]), int(sides[1])  # type: ignore[arg-type]
