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
        weights = np.zeros((results, extent), np.float64)
        factor = float(scale)
        for place in range(results):
            x = _POSITIONS[self.alignment](extent, results, factor, place)
            first = math.floor(x)
            ratio = x - first
            taps = self._taps(ratio, factor)
            total = 0.0
            for tap, weight in taps:
                if self.exclude_outside and not 0 <= first + tap < extent:
                    continue
                weights[place, min(max(first + tap, 0), extent - 1)] += weight
                total += weight
            if self.exclude_outside or self.antialias:
                weights[place] /= total
        return weights.astype(np.float32)

    def _taps(self, ratio: float, factor: float) -> list[tuple[int, float]]:
        """Return the taps around a position, as (offset from the element before the position, weight)."""
        reach = 2 if self.mode == "cubic" else 1
        stretch = min(factor, 1.0) if self.antialias else 1.0
        count = math.ceil(reach / stretch)
        return [
            (tap, self._weight(abs(tap - ratio) * stretch))
            for tap in range(1 - count, count + 1)
            if abs(tap - ratio) * stretch < reach
        ]

    def _weight(self, distance: float) -> float:
        a = self.cubic
        if self.mode == "linear":
            return max(1.0 - distance, 0.0)
        if distance <= 1.0:
            return ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0
        return ((a * distance - 5.0 * a) * distance + 8.0 * a) * distance - 4.0 * a


def _half_pixel(_: int, __: int, factor: float, place: int) -> float:
    return (place + 0.5) / factor - 0.5


def _pytorch_half_pixel(_: int, results: int, factor: float, place: int) -> float:
    return (place + 0.5) / factor - 0.5 if results > 1 else 0.0


def _symmetric(extent: int, results: int, factor: float, place: int) -> float:
    """Return the source position for "half_pixel_symmetric": the centre of the axis stays the centre.

    That holds even if the extent of the result was rounded.
    """
    return extent / 2.0 * (1.0 - results / (factor * extent)) + (place + 0.5) / factor - 0.5


def _corners(extent: int, results: int, factor: float, place: int) -> float:
    whole = factor * extent
    return place * (extent - 1) / (whole - 1.0) if results > 1 and whole != 1.0 else 0.0


_POSITIONS: dict[str, Callable[[int, int, float, int], float]] = {
    "align_corners": _corners,
    "asymmetric": lambda _, __, factor, place: place / factor,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
}
ALIGNMENTS = frozenset(_POSITIONS)
"""The supported values of coordinate_transformation_mode."""
