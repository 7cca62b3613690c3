"""The outlines of objects: polygons and bitmaps, their boxes, and masks drawn of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
_CORNERS_OF_CIRCLE = 64


@dataclass(frozen=True, eq=False)
class Bitmap:
    """The pixels of an object: `pixels` (height, width) begin at the column `left` and the row `top` of the photo."""

    left: int
    top: int
    pixels: NDArray[np.bool_]


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
            else (bits.left, bits.top, bits.pixels.shape, np.packbits(bits.pixels).tobytes())
        )
        return f"Shape({[points.tolist() for points in self.polygons]}, {packed})"

    def edges(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom."""
        if self.bitmap is not None:
            found = self.bitmap
            rows, columns = (np.flatnonzero(found.pixels.any(axis=axis)) for axis in (1, 0))
            if not rows.size:
                return found.left, found.top, found.left, found.top
            return (
                float(found.left + columns[0]),
                float(found.top + rows[0]),
                float(found.left + columns[-1] + 1),
                float(found.top + rows[-1] + 1),
            )
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
            mask[_inside(points * scale, size)] = kind
        if (found := shape.bitmap) is not None:
            rows, columns = (
                min(side, room) for side, room in zip(found.pixels.shape, mask.shape, strict=True)
            )
            part = mask[found.top : found.top + rows, found.left : found.left + columns]
            part[found.pixels[: part.shape[0], : part.shape[1]]] = kind
    return mask


def _inside(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels (height, width) have their centre in a polygon: an odd number of edges is on the left."""
    width, height = size
    edges = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True):
        low, high = sorted((y0, y1))
        first, last = max(math.ceil(low - 0.5), 0), min(math.ceil(high - 0.5), height)
        rows = np.arange(first, last)  # the rows whose centres the edge crosses
        if rows.size:
            crossed = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(edges, (rows, np.clip(np.ceil(crossed - 0.5), 0, width).astype(np.int64)), 1)
    inside: NDArray[np.bool_] = np.cumsum(edges, 1)[:, :-1] % 2 == 1
    return inside
