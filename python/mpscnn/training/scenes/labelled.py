"""Photos with labelled objects, and checks that all readers of annotations share."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.files import is_file, is_folder
from mpscnn._private.names import shown_names
from mpscnn.errors import ImageError, ParameterError
from mpscnn.training.scenes.shapes import Shape
from mpscnn.vision.photo_list import photo_paths

#: The largest distance by which a box may stick out of its photo, in pixels and as a share of the photo's side. Tools
#: round edges. Such boxes are cut off at the photo's edge.
_BEYOND_PIXELS, _BEYOND_SHARE = 1.0, 0.01
#: The largest edge of a box that seems to be a share of the photo, and not pixels.
_MAX_SHARE = 1.5
#: The largest coordinate of an outline. Drawing computes with products of coordinates.
_MAX_COORDINATE = 1_000_000_000
#: The most characters of a photo's path. Composing the letters and accents of longer texts takes long.
_MAX_PATH = 4096
#: The suffixes of annotations, and of what tools for annotations write next to them.
_ANNOTATIONS = (".txt", ".yaml", ".yml", ".xml", ".json", ".names", ".cache")


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
        part: the part of the data set that the annotations state, such as `TRAIN`; None: they state none.
        difficult: (k,) True for objects that the annotations call difficult. They are learned, and evaluations leave
            them out; None: there are none.
        crowds: (k,) True for boxes that enclose many objects. They are not learned, and in evaluations no detection in
            them is wrong; None: there are none.
        areas: (k,) the areas of the objects in square pixels, as COCO's files state them; None: those of the boxes.
        dropped: the number of entries that are not among the objects, because their box has no area.
        shapes: the outlines of the objects, in the unit of the boxes; None for an object that is only a box.
    """

    path: str
    place: str
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    size: tuple[int, int] | None = None
    part: str | None = None
    difficult: NDArray[np.bool_] | None = None
    crowds: NDArray[np.bool_] | None = None
    areas: NDArray[np.float64] | None = None
    dropped: int = 0
    shapes: tuple[Shape | None, ...] | None = None

    def learned(self) -> LabelledPhoto:
        """Return the photo without crowds."""
        if self.crowds is None:
            return self
        kept = ~self.crowds
        return replace(
            self,
            boxes=self.boxes[kept],
            classes=self.classes[kept],
            difficult=None if self.difficult is None else self.difficult[kept],
            areas=None if self.areas is None else self.areas[kept],
            crowds=None,
            shapes=None if self.shapes is None else tuple(np.array([*self.shapes, None])[:-1][kept].tolist()),
        )

    def boxes_in_pixels(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """Return the boxes in pixels of the photo, whose (width, height) is `size`.

        Raises ParameterError for a box outside of the photo.
        """
        if self.size is None:
            scaled: NDArray[np.float64] = self.boxes * np.tile(size, 2)
            return scaled
        boxes: NDArray[np.float64] = np.clip(self.boxes, 0, np.tile(size, 2))
        # A box that sticks out by rounding is cut off; nothing is left of one next to the photo.
        outside = (np.abs(boxes - self.boxes) > 1).any(1) | (boxes[:, :2] >= boxes[:, 2:]).any(1)
        if outside.any():
            fail(
                self.place,
                f"the box {_shown(self.boxes[outside][0].tolist())} is outside of the photo {self.path}, which has "
                f"{size[0]} x {size[1]} pixels",
            )
        return boxes


@dataclass(frozen=True)
class StatedPart:
    """The photos that annotations give to training, validation or test, and the entry that does so, for messages."""

    place: str
    photos: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LabelledObjects:
    """The names of all classes, and photos with their objects.

    Attributes:
        labels: the names.
        photos: the photos.
        stated: the parts of the data set that the annotations state, such as `TRAIN`; {}: they state none.
        ids: the number of each class in a COCO file; None for other formats.
        listed_by_id: False if a COCO file lists its classes in another order than that of their numbers.
    """

    labels: tuple[str, ...]
    photos: tuple[LabelledPhoto, ...]
    stated: Mapping[str, StatedPart] = field(default_factory=dict)
    ids: tuple[int, ...] | None = None
    listed_by_id: bool = True

    def learned(self) -> LabelledObjects:
        """Return the photos without crowds. Raises ParameterError if no object is left."""
        found = self.with_photos([photo.learned() for photo in self.photos])
        if not found.counts().any():
            fail(self.photos[0].place, "all objects are crowds; a detector needs others to learn from")
        return found

    def numbered_like(self, labels: Sequence[str], place: str) -> LabelledObjects:
        """Return the same objects with the class numbers of other annotations.

        Raises ParameterError if a class is not among their labels; `place` names these annotations in the message.
        """
        if unknown := sorted({*self.labels} - {*labels}):
            fail(place, f"has classes that the annotations for training lack: {', '.join(unknown)}")
        known = {label: number for number, label in enumerate(labels)}
        numbers = np.array([known[label] for label in self.labels], np.int64)
        photos = tuple(replace(photo, classes=numbers[photo.classes]) for photo in self.photos)
        return replace(self, labels=tuple(labels), photos=photos)

    def with_photos(self, photos: Sequence[LabelledPhoto]) -> LabelledObjects:
        """Return other photos with the same classes."""
        return replace(self, photos=tuple(photos))

    def photos_of(self, kind: str) -> list[LabelledPhoto] | None:
        """Return the photos of a part that the annotations state; None if they do not state it.

        Raises ParameterError if photos of the part are not among `photos`: the user's folder does not have them.
        """
        if (part := self.stated.get(kind)) is None:
            return None
        found = [photo for photo in self.photos if photo.part == kind]
        if missing := len(part.photos) - len(found):
            fail(
                part.place,
                f"{missing:,} of its {len(part.photos):,} photos, such as {part.photos[0]}, are not in the folder of "
                "photos that was given; give the folder that has all photos",
            )
        return found

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
    difficult: list[bool] = field(default_factory=list)
    crowds: list[bool] = field(default_factory=list)
    areas: list[float | None] = field(default_factory=list)
    shapes: list[Shape | None] = field(default_factory=list)
    dropped: int = 0

    def add(
        self,
        place: str,
        edges: Sequence[Any],
        number: int,
        *,
        difficult: bool = False,
        crowd: bool = False,
        area: float | None = None,
        shape: Shape | None = None,
    ) -> None:
        """Add an object with left, top, right and bottom, cut off at the photo's edges.

        A box whose width or height is exactly 0 is counted in `dropped`: tools write it for a click without a drag.

        Raises ParameterError for edges that are not finite or in the wrong order, and a box outside of the photo.
        """
        if not all(map(is_finite_number, edges)):
            fail(place, f"the box {_shown(edges)} is not four finite numbers")
        if shape is not None and not all(abs(edge) <= _MAX_COORDINATE for edge in shape.edges()):
            fail(
                place,
                f"the outline has the edges {_shown(shape.edges())}; expected are at most {_MAX_COORDINATE:,}",
            )
        left, top, right, bottom = map(float, edges)
        if (left == right and top <= bottom) or (top == bottom and left <= right):
            self.dropped += 1
            return
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
        self.difficult.append(difficult)
        self.crowds.append(crowd)
        self.areas.append(area)
        self.shapes.append(shape)

    def photo(self, path: str, place: str, size: tuple[int, int] | None) -> LabelledPhoto:
        """Return the photo with these objects."""
        boxes = np.asarray(self.boxes, np.float64).reshape(-1, 4)
        sizes = (boxes[:, 2:] - boxes[:, :2]).prod(1).tolist()
        areas = [own if given is None else given for given, own in zip(self.areas, sizes, strict=True)]
        return LabelledPhoto(
            path,
            place,
            boxes,
            np.asarray(self.classes, np.int64),
            size,
            difficult=np.asarray(self.difficult, np.bool_) if any(self.difficult) else None,
            crowds=np.asarray(self.crowds, np.bool_) if any(self.crowds) else None,
            areas=np.asarray(areas, np.float64) if areas != sizes else None,
            dropped=self.dropped,
            shapes=tuple(self.shapes) if any(one is not None for one in self.shapes) else None,
        )


def fail(place: object, problem: str) -> NoReturn:
    """Raise ParameterError for a problem with annotations at a place: a file, or an entry or line of it."""
    raise ParameterError(f"{place}: {problem}")


@dataclass(frozen=True)
class ObjectCounts:
    """The numbers of what annotations have besides ordinary objects.

    Attributes:
        without_objects: photos that have no object.
        crowds: objects that are crowds.
        difficult: objects that are called difficult.
        dropped: entries whose box has no area.
    """

    without_objects: int = 0
    crowds: int = 0
    difficult: int = 0
    dropped: int = 0


def count_objects(photos: Iterable[LabelledPhoto]) -> ObjectCounts:
    """Count the crowds, difficult objects and dropped entries of photos, and the photos without objects."""
    listed = list(photos)
    return ObjectCounts(
        sum(not len(photo.classes) for photo in listed),
        sum(int(photo.crowds.sum()) for photo in listed if photo.crowds is not None),
        sum(int(photo.difficult.sum()) for photo in listed if photo.difficult is not None),
        sum(photo.dropped for photo in listed),
    )


def object_notes(photos: Iterable[LabelledPhoto]) -> list[str]:
    """Return a sentence about each of the counts that training should tell."""
    counts = count_objects(photos)
    notes = {
        "photos have no objects, and teach what is none": counts.without_objects,
        "objects are crowds, and are not learned": counts.crowds,
        "objects have a box without an area, and are left out": counts.dropped,
    }
    return [f"{count:,} {text}" for text, count in notes.items() if count]


def require_pixels(place: object, boxes: NDArray[np.float64]) -> None:
    """Raise ParameterError if boxes (k, 4), whose unit is the pixel, all end in the first pixel: they are fractions."""
    if len(boxes) and boxes[:, 2:].max() <= _MAX_SHARE:
        fail(
            place,
            f"all {len(boxes):,} boxes lie in the first pixel of their photos, such as "
            f"{_shown(boxes[0].tolist())}. They seem to be shares of the photo from 0 to 1, but this format counts "
            "pixels: multiply x and width by the photo's width, y and height by its height",
        )


def labelled_photo_paths(folder: Path) -> tuple[list[str], list[ImageError]]:
    """Return the photos of a folder as `photo_paths` does, without a warning of the annotations next to them."""
    return photo_paths([str(folder)], expected=_ANNOTATIONS)


def left_out_photos(folder: Path, listed: Sequence[str]) -> int:
    """Return the number of photos in a folder that are not among the listed ones."""
    known = {os.path.normpath(path) for path in listed}
    return sum(os.path.normpath(path) not in known for path in labelled_photo_paths(folder)[0])


def find_photo(folder: Path, name: str, place: str, *, must_exist: bool = True) -> str:
    """Return the path of a photo that annotations name. Raises ParameterError if it does not exist but must.

    Tools write paths of the machine where they ran, with slashes or backslashes, names in another Unicode form than the
    file system's, and names without the suffix. Another place than `name` itself is taken if it is the only one.
    """
    if len(name) > _MAX_PATH:
        fail(
            place,
            f"the name of the photo has {len(name):,} characters, at most {_MAX_PATH:,} are read: {name[:60]!r}",
        )
    plain = name.replace("\\", "/")
    for candidate in dict.fromkeys((name, plain, plain.rpartition("/")[2])):
        for form in dict.fromkeys(
            (candidate, *(unicodedata.normalize(form, candidate) for form in ("NFC", "NFD")))
        ):
            if form and _is_photo_file(folder / form):
                return str(folder / form)
    ends = [plain, plain.rpartition("/")[2]]
    without_suffix = [path for end in dict.fromkeys(ends) for path in _with_suffix(folder, end)]
    if len(without_suffix) == 1:
        return without_suffix[0]
    if without_suffix:
        fail(place, f"the photo {name!r} may be each of {shown_names(without_suffix)}; write its suffix")
    path = folder / name
    if not must_exist:
        return str(path)
    what = "is a folder" if is_folder(path) else "does not exist"
    fail(place, f"the photo {str(path)!r} {what}")


def _is_photo_file(path: Path) -> bool:
    try:
        return is_file(path)
    except (OSError, ValueError):
        return False


def _with_suffix(folder: Path, name: str) -> list[str]:
    """Return the photos whose name without its suffix is this one."""
    where, _, stem = name.rpartition("/")
    if not stem:
        return []
    return [str(folder / where / entry) for entry in _entries_of(folder / where).get(_key(stem), ())]


def _entries_of(folder: Path) -> Mapping[str, list[str]]:
    """Return the names of the photos of a folder by their names without suffix."""
    try:
        return _entries_by_stem(str(folder), folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=16)
def _entries_by_stem(folder: str, _changed: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in sorted(Path(folder).iterdir()):
        if entry.suffix and entry.suffix.lower() not in _ANNOTATIONS:
            found.setdefault(_key(entry.stem), []).append(entry.name)
    return found


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _shown(edges: Sequence[Any]) -> str:
    return "(" + ", ".join(f"{edge:g}" if is_finite_number(edge) else repr(edge) for edge in edges) + ")"
