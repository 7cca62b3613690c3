"""Compute the weights of ONNX' Resize along one axis, as a matrix.

It is used for cubic interpolation, and for options of linear interpolation that mpscnn's resize layer lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# The number of weights that are computed together.
_CHUNK = 1 << 20
_OPERATIONS_OF_TAP = 128


@dataclass(frozen=True)
class Interpolation:
    """The rule by which Resize interpolates along an axis.

    Attributes:
        mode: "linear" or "cubic".
        alignment: the attribute coordinate_transformation_mode of ONNX, one of `ALIGNMENTS`.
        cubic: the coefficient a of cubic interpolation.
        exclude_outside: whether taps outside of the axis are left out; otherwise they read the nearest element.
        antialias: whether downsampling averages over more elements.
    """

    mode: str
    alignment: str
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False

    def matrix(self, extent: int, results: int, scale: Fraction) -> NDArray[np.float32]:
        """Return the weights [results][extent]. `scale` is the exact factor, before the new extent was rounded."""
        result = np.zeros((results, extent), np.float32)
        rows = max(_CHUNK // max(self._count(float(scale)), extent), 1)
        for first in range(0, results, rows):
            places = np.arange(first, min(first + rows, results), dtype=np.float64)
            result[first : first + rows] = self._rows(places, extent, results, float(scale))
        return result

    def operations(self, extent: int, results: int, scale: Fraction) -> int:
        """Return the number of arithmetic operations for the weights."""
        return results * (extent + _OPERATIONS_OF_TAP * self._count(float(scale)))

    def _rows(self, places: Numbers, extent: int, results: int, factor: float) -> Numbers:
        """Return the weights of some results, one row for each."""
        x = np.broadcast_to(_POSITIONS[self.alignment](extent, results, factor, places), places.shape)
        below = np.floor(x)
        weights = np.zeros((len(places), extent), np.float64)
        totals = np.zeros((len(places), 1), np.float64)
        count, step = self._count(factor), max(_CHUNK // len(places), 1)
        for first in range(1 - count, count + 1, step):
            taps = np.arange(first, min(first + step, count + 1))
            values = self._weights(np.abs(taps - (x - below)[:, None]) * self._stretch(factor))
            elements = below[:, None] + taps
            outside = elements < 0, elements >= extent
            if self.exclude_outside:
                values[outside[0] | outside[1]] = 0.0
            totals += values.sum(axis=1, keepdims=True)
            for edge, beyond in zip((0, -1), outside, strict=True):
                if beyond.any():  # the nearest element stands for all that are beyond it
                    weights[:, edge] += np.where(beyond, values, 0.0).sum(axis=1)
            rows, columns = np.nonzero(~(outside[0] | outside[1]))
            weights[rows, elements[rows, columns].astype(np.int64)] += values[rows, columns]
        return weights / totals if self.exclude_outside or self.antialias else weights

    @property
    def _reach(self) -> int:
        """The distance from a position at which the weights end, in elements, or in results with antialias."""
        return 2 if self.mode == "cubic" else 1

    def _stretch(self, factor: float) -> float:
        return min(factor, 1.0) if self.antialias else 1.0

    def _count(self, factor: float) -> int:
        """Return the number of taps on each side of a position."""
        return math.ceil(self._reach / self._stretch(factor))

    def _weights(self, distance: Numbers) -> Numbers:
        """Return the weights of elements at these distances from a position."""
        a = self.cubic
        if self.mode == "linear":
            return np.maximum(1.0 - distance, 0.0)
        near = ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0
        far = ((a * distance - 5.0 * a) * distance + 8.0 * a) * distance - 4.0 * a
        return np.where(distance <= 1.0, near, np.where(distance < self._reach, far, 0.0))


def _symmetric(extent: int, results: int, factor: float, place: Numbers) -> Numbers | float:
    """Return the source position for "half_pixel_symmetric": the centre of the axis stays the centre.

    That holds even if the extent of the result was rounded.
    """
    return extent / 2.0 * (1.0 - results / (factor * extent)) + (place + 0.5) / factor - 0.5


def _corners(extent: int, results: int, factor: float, place: Numbers) -> Numbers | float:
    whole = factor * extent
    return place * (extent - 1) / (whole - 1.0) if results > 1 and whole != 1.0 else 0.0


_POSITIONS: dict[str, Callable[[int, int, float, Numbers], Numbers | float]] = {
    "align_corners": _corners,
    "asymmetric": lambda _, __, factor, place: place / factor,
    "half_pixel": lambda _, __, factor, place: (place + 0.5) / factor - 0.5,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda _, results, factor, place: (
        (place + 0.5) / factor - 0.5 if results > 1 else 0.0
    ),
}
ALIGNMENTS = frozenset(_POSITIONS)
"""The supported values of coordinate_transformation_mode."""
