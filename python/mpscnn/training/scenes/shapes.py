"""The outlines of objects: polygons and bitmaps, their boxes, and masks drawn of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_whole_number
from mpscnn.vision.photo_file import MAX_SIDE

Points = NDArray[np.float64]
_CORNERS_OF_CIRCLE = 64


@dataclass(frozen=True, eq=False)
class Bitmap:
    """The pixels of a part of the photo, as the lengths of runs: first those outside of the object, then those inside.

    Few runs may stand for many pixels. So nothing but `pixels` makes an array of them.

    Attributes:
        left, top: the first column and row of the photo.
        height, width: the size of the part.
        runs: the lengths, whose sum is the number of pixels.
        by_columns: True if the runs go down the columns, False if they go along the rows.
    """

    left: int
    top: int
    height: int
    width: int
    runs: NDArray[np.int64]
    by_columns: bool = False

    def pixels(self) -> NDArray[np.bool_]:
        """Return the pixels (height, width): True for those of the object."""
        flat = np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs)
        return (
            flat.reshape(self.width, self.height).T
            if self.by_columns
            else flat.reshape(self.height, self.width)
        )

    def edges(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the object; without a pixel, those of an empty box."""
        ends = np.cumsum(self.runs)
        begins, ends = (ends - self.runs)[1::2], ends[1::2]
        begins, ends = begins[begins < ends], ends[begins < ends]
        if not begins.size:
            return self.left, self.top, self.left, self.top
        length = self.height if self.by_columns else self.width
        first, last = int(begins[0]) // length, int(ends[-1] - 1) // length + 1
        is_whole = begins // length != (ends - 1) // length  # a run that continues in the next line
        low = int(np.where(is_whole, 0, begins % length).min())
        high = int(np.where(is_whole, length, (ends - 1) % length + 1).max())
        if self.by_columns:
            first, last, low, high = low, high, first, last
        return self.left + low, self.top + first, self.left + high, self.top + last


def bitmap(
    left: int, top: int, size: tuple[int, int], runs: Sequence[Any], *, by_columns: bool = False
) -> Bitmap:
    """Return the bitmap of runs for a part of (height, width). Raises ValueError if the runs do not fill it."""
    height, width = size
    if min(size) < 1 or max(size) > MAX_SIDE:
        raise ValueError(f"the sides are {width} and {height}, and must be from 1 to {MAX_SIDE:,}")
    if not all(is_whole_number(run) and run >= 0 for run in runs):
        raise ValueError("a length is no whole number of at least 0")
    if sum(runs) != height * width:
        raise ValueError(f"they are {sum(runs)} pixels, {width} x {height} has {height * width}")
    return Bitmap(left, top, height, width, np.asarray(runs, np.int64), by_columns)


@dataclass(frozen=True, eq=False)
class Shape:
    """The outline of an object: polygons (k, 2) of x and y, in the unit of its box, or a bitmap."""

    polygons: tuple[Points, ...] = ()
    bitmap: Bitmap | None = None

    def __repr__(self) -> str:
        """Return a text that differs for different shapes."""
        bits = self.bitmap
        packed = (
            None
            if bits is None
            else (bits.left, bits.top, bits.height, bits.width, bits.runs.tolist(), bits.by_columns)
        )
        return f"Shape({[points.tolist() for points in self.polygons]}, {packed})"

    def edges(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom."""
        if self.bitmap is not None:
            return self.bitmap.edges()
        points = np.concatenate(self.polygons)
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        return left, top, right, bottom


def polygon(points: Sequence[Any]) -> Shape:
    """Return the shape of one polygon, of pairs of x and y."""
    return Shape((np.asarray(points, np.float64).reshape(-1, 2),))


def rectangle(left: float, top: float, right: float, bottom: float) -> Shape:
    """Return the shape of a rectangle."""
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])


def corners(shape: Shape) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a `rectangle` as they were given, also in the wrong order."""
    (left, top), _, (right, bottom), _ = shape.polygons[0].tolist()
    return left, top, right, bottom


def ellipse(x: float, y: float, horizontal: float, vertical: float) -> Shape:
    """Return the shape of an ellipse with these radii."""
    angles = np.linspace(0, 2 * math.pi, _CORNERS_OF_CIRCLE, endpoint=False)
    return polygon(np.stack([x + horizontal * np.cos(angles), y + vertical * np.sin(angles)], 1).tolist())


def rotated(shape: Shape, degrees: float, x: float, y: float) -> Shape:
    """Return a polygon turned clockwise around a point."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[cos, sin], [-sin, cos]])
    return Shape(tuple((points - (x, y)) @ turn + (x, y) for points in shape.polygons))


def drawn(
    shapes: Sequence[Shape], classes: Sequence[int], size: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """Return a mask (height, width) with the class of each object. Small objects are above large ones.

    Args:
        shapes: the outlines.
        classes: the number of each object in the mask.
        size: (width, height) of the photo.
        scale: the factors from the unit of x and y to pixels.
    """
    width, height = size
    mask = np.zeros((height, width), np.uint8)

    def extent(number: int) -> float:
        left, top, right, bottom = shapes[number].edges()
        return -(right - left) * (bottom - top)

    for number in sorted(range(len(shapes)), key=extent):
        shape, kind = shapes[number], classes[number]
        for points in shape.polygons:
            _fill(mask, points * scale, kind)
        if (found := shape.bitmap) is not None:
            pixels = found.pixels()[max(-found.top, 0) :, max(-found.left, 0) :]
            part = mask[max(found.top, 0) :, max(found.left, 0) :][: pixels.shape[0], : pixels.shape[1]]
            part[pixels[: part.shape[0], : part.shape[1]]] = kind
    return mask


def _fill(mask: NDArray[np.uint8], points: Points, kind: int) -> None:
    """Write the class of a polygon into its pixels, whose centres have an odd number of edges on the left."""
    (left, top), (right, bottom) = (np.ceil(ends - 0.5) for ends in (points.min(0), points.max(0)))
    height, width = mask.shape
    left, right = (int(min(max(end, 0), width)) for end in (left, right))
    top, bottom = (int(min(max(end, 0), height)) for end in (top, bottom))
    # The cost is that of the polygon's own pixels. Only the parity of a count matters, so it may overflow.
    edges = np.zeros((bottom - top, right - left + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True):
        low, high = sorted((y0, y1))
        first, last = max(math.ceil(low - 0.5), top), min(math.ceil(high - 0.5), bottom)
        rows = np.arange(first, last)  # the rows whose centres the edge crosses
        if rows.size:
            crossed = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossed - 0.5), left, right).astype(np.int64)
            np.add.at(edges, (rows - top, columns - left), 1)
    inside = np.cumsum(edges, 1, dtype=np.uint8)[:, :-1] % 2 == 1
    mask[top:bottom, left:right][inside] = kind
