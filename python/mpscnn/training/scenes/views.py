"""Draw a random view of a photo with objects or a mask: a part of it or more than it, perhaps mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.training.photo_views import CheckedRanges
from mpscnn.vision.photo import Photo
from mpscnn.vision.segmentation import UNSEEN

_GRAY = 127  # the colour around a photo that is smaller than the view
_TRIES = 30
#: An object is seen if a view shows at least this share of its box, and not seen if it shows at most that share. Views
#: that show another share of a box would teach that a part of an object is, or is not, an object.
_SEEN, _UNSEEN_SHARE = 0.6, 0.05


@dataclass(frozen=True)
class SceneAugmentation(CheckedRanges):
    """The range of random views of a photo with objects or a mask.

    Args:
        flip: the share of views that are mirrored.
        crop: the smallest share of the photo's area that a view shows; 1: all of it.
        shrink: the largest factor by which a view is higher and wider than the photo, so that objects look smaller.
        aspect: the largest factor by which a view's aspect ratio differs from the photo's.
        brightness, contrast, saturation: the largest change of each, as a share; 0: none.

    True stands for the default of a number, and False for no change of this kind.

    Raises:
        ParameterError: a number is out of its range.
    """

    flip: float = 0.5
    crop: float = 0.4
    shrink: float = 1.3
    aspect: float = 1.3
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2


SceneAugmentation.__init__ = accept_foreign_arguments(SceneAugmentation.__init__)  # type: ignore[method-assign]


@dataclass(frozen=True)
class View:
    """A rectangle in pixels of the upright photo, which may be beyond the photo's edges, and whether it is mirrored."""

    left: int
    top: int
    width: int
    height: int
    mirrored: bool = False

    def photo(self, photo: Photo) -> Photo:
        """Return the pixels of an upright photo in this view, without mirroring. Gray surrounds the photo."""
        gray = (
            _GRAY / 255
            if photo.pixels.dtype.kind == "f"
            else _GRAY * (np.iinfo(photo.pixels.dtype).max // 255)
        )
        return replace(photo, pixels=self._cut(photo.pixels, gray))

    def mask(self, mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the classes at the points of an output of this size. Points beyond the photo's edges are ignored."""
        seen = self._cut(mask, UNSEEN)
        rows, columns = (
            np.minimum(((np.arange(count) + 0.5) / count * side).astype(np.int64), side - 1)
            for count, side in zip(size, seen.shape, strict=True)
        )
        points: NDArray[np.uint8] = seen[rows[:, None], columns]
        return points[:, ::-1] if self.mirrored else points

    def boxes(self, boxes: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the boxes as fractions of the view, and which of them the view shows. Others are left out."""
        shares = visible_shares(boxes, self)
        seen = shares >= _SEEN
        corner, extent = (self.left, self.top), (self.width, self.height)
        parts = np.clip((boxes[seen] - np.tile(corner, 2)) / np.tile(extent, 2), 0, 1)
        if self.mirrored:
            parts[:, [0, 2]] = 1 - parts[:, [2, 0]]
        return parts.astype(np.float32), seen

    def _cut(self, pixels: NDArray[Any], around: float) -> NDArray[Any]:
        height, width = pixels.shape[:2]
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.height, height), min(self.left + self.width, width)
        part = pixels[top:bottom, left:right]
        if part.shape[:2] == (self.height, self.width):
            return np.ascontiguousarray(part)
        canvas = np.full((self.height, self.width, *pixels.shape[2:]), around, pixels.dtype)
        canvas[top - self.top : bottom - self.top, left - self.left : right - self.left] = part
        return canvas


def visible_shares(boxes: NDArray[np.float64], view: View) -> NDArray[np.float64]:
    """Return the share of each box that a view shows."""
    low = np.array([view.left, view.top], np.float64)
    high = low + np.array([view.width, view.height])
    sides = np.clip(boxes[:, 2:], low, high) - np.clip(boxes[:, :2], low, high)
    shares: NDArray[np.float64] = sides.prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shares


def whole_view(size: tuple[int, int]) -> View:
    """Return the view of a whole photo, from its (width, height)."""
    return View(0, 0, *size)


def choose_view(
    size: tuple[int, int],
    boxes: NDArray[np.float64],
    augmentation: SceneAugmentation,
    random: np.random.Generator,
) -> View:
    """Draw a view of a photo in which each object is seen or not seen, and at least one is seen if there are any.

    If no such view is found, the view shows the whole photo.

    Args:
        size: (width, height) of the upright photo.
        boxes: (k, 4) the objects in pixels of the photo.
    """
    mirrored = bool(random.random() < augmentation.flip)
    for _ in range(_TRIES):
        view = replace(_drawn(size, augmentation, random), mirrored=mirrored)
        shares = visible_shares(boxes, view)
        clear = (shares >= _SEEN) | (shares <= _UNSEEN_SHARE)
        if clear.all() and (not len(boxes) or (shares >= _SEEN).any()):
            return view
    return replace(whole_view(size), mirrored=mirrored)


def _drawn(size: tuple[int, int], augmentation: SceneAugmentation, random: np.random.Generator) -> View:
    width, height = size
    area = math.exp(random.uniform(math.log(augmentation.crop), 2 * math.log(augmentation.shrink)))
    shape = math.exp(random.uniform(-1, 1) * math.log(augmentation.aspect))
    columns, rows = (
        max(round(width * math.sqrt(area * shape)), 1),
        max(round(height * math.sqrt(area / shape)), 1),
    )
    # The view is within the photo if it is smaller, and around it if it is larger.
    left, top = (
        int(random.integers(min(side - extent, 0), max(side - extent, 0) + 1))
        for side, extent in ((width, columns), (height, rows))
    )
    return View(left, top, columns, rows)


def upright(photo: Photo) -> Photo:
    """Return the photo with its pixels turned as its EXIF orientation says."""
    pixels = photo.pixels
    if photo.orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if photo.orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if photo.orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return replace(photo, pixels=np.ascontiguousarray(pixels), orientation=1)
