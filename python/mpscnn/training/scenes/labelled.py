"""Photos with labelled objects, and checks that all readers of annotations share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.files import is_folder
from mpscnn.errors import ParameterError

__all__ = ["LabelledObjects", "LabelledPhoto", "ObjectList", "fail", "find_photo"]

#: The largest distance by which a box may stick out of its photo, in pixels and as a share of the photo's side. Tools
#: round edges. Such boxes are cut off at the photo's edge.
_BEYOND_PIXELS, _BEYOND_SHARE = 1.0, 0.01


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """The path of a photo, and its objects.

    Attributes:
        path: the photo.
        place: the file and entry with the annotations, for messages.
        boxes: (k, 4) left, top, right and bottom of each object, in pixels if there is a `size`, otherwise as fractions
            of the photo.
        classes: (k,) class numbers from 0 on.
        size: (width, height) of the photo in the annotations; (0, 0): pixels of the photo itself; None: the boxes are
            fractions.
    """

    path: str
    place: str
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class LabelledObjects:
    """The names of all classes, and photos with their objects."""

    labels: tuple[str, ...]
    photos: tuple[LabelledPhoto, ...]

    def numbered_like(self, labels: Sequence[str], place: str) -> LabelledObjects:
        """Return the same objects with the class numbers of other annotations.

        Raises ParameterError if a class is not among their labels; `place` names these annotations in the message.
        """
        if unknown := sorted({*self.labels} - {*labels}):
            fail(place, f"has classes that the annotations for training lack: {', '.join(unknown)}")
        known = {label: number for number, label in enumerate(labels)}
        numbers = np.array([known[label] for label in self.labels], np.int64)
        photos = tuple(replace(photo, classes=numbers[photo.classes]) for photo in self.photos)
        return LabelledObjects(tuple(labels), photos)

    def with_photos(self, photos: Sequence[LabelledPhoto]) -> LabelledObjects:
        """Return other photos with the same classes."""
        return replace(self, photos=tuple(photos))

    def require_different_photos(self) -> None:
        """Raise ParameterError if a photo has two entries: each would teach that the objects of the other are none."""
        known: dict[str, LabelledPhoto] = {}
        for photo in self.photos:
            path = os.path.normpath(photo.path)
            if path in known:
                fail(photo.place, f"{known[path].place} has annotations of the same photo {photo.path!r}")
            known[path] = photo

    def counts(self) -> NDArray[np.int64]:
        """Return the number of objects of each class."""
        every = [photo.classes for photo in self.photos] or [np.zeros(0, np.int64)]
        return np.bincount(np.concatenate(every), minlength=len(self.labels))


@dataclass
class ObjectList:
    """Collects the objects of a photo, and checks each of them.

    Args:
        size: (width, height) of the photo; (1, 1) for fractions; None: not known.
    """

    size: tuple[float, float] | None
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)

    def add(self, place: str, edges: Sequence[Any], number: int) -> None:
        """Add an object with left, top, right and bottom, cut off at the photo's edges.

        Raises ParameterError for edges that are not finite, a box without an area or a box outside of the photo.
        """
        if not all(map(is_finite_number, edges)):
            fail(place, f"the box {_shown(edges)} is not four finite numbers")
        left, top, right, bottom = map(float, edges)
        if self.size is not None:
            width, height = self.size
            for low, high, side in ((left, right, width), (top, bottom, height)):
                beyond = _BEYOND_SHARE * side
                beyond = beyond if self.size == (1, 1) else max(beyond, _BEYOND_PIXELS)
                if low < -beyond or high > side + beyond:
                    fail(place, f"the box {_shown(edges)} is outside of the photo of {width:g} x {height:g}")
            left, right = max(left, 0.0), min(right, float(width))
            top, bottom = max(top, 0.0), min(bottom, float(height))
        if left >= right or top >= bottom:
            fail(place, f"the box {_shown(edges)} has no area; expected are left < right and top < bottom")
        self.boxes.append((left, top, right, bottom))
        self.classes.append(number)

    def photo(self, path: str, place: str, size: tuple[int, int] | None) -> LabelledPhoto:
        """Return the photo with these objects."""
        boxes = np.asarray(self.boxes, np.float64).reshape(-1, 4)
        return LabelledPhoto(path, place, boxes, np.asarray(self.classes, np.int64), size)


def fail(place: object, problem: str) -> NoReturn:
    """Raise ParameterError for a problem with annotations at a place: a file, or an entry or line of it."""
    raise ParameterError(f"{place}: {problem}")


def find_photo(folder: Path, name: str, place: str) -> str:
    """Return the path of a photo that annotations name. Raises ParameterError if it does not exist."""
    path = folder / name
    try:
        found = path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        what = "is a folder" if is_folder(path) else "does not exist"
        fail(place, f"the photo {str(path)!r} {what}")
    return str(path)


def _shown(edges: Sequence[Any]) -> str:
    return "(" + ", ".join(f"{edge:g}" if is_finite_number(edge) else repr(edge) for edge in edges) + ")"
