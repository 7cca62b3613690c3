"""Nearest and bilinear resize."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

_ROUNDINGS = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda position: ceil(position - Fraction(1, 2)),
    "round_prefer_ceil": lambda position: floor(position + Fraction(1, 2)),
}


def _samples(size: int, outputs: int, alignment: str, magnification: float, offset: float) -> list[Fraction]:
    """Exact positions."""
    step = Fraction(size, outputs) if not magnification else 1 / Fraction(magnification)
    if alignment == "corners":
        step = Fraction(size - 1, outputs - 1) if outputs > 1 else Fraction(0)
    centre = Fraction(1, 2) if alignment.endswith("half_pixel") else Fraction(0)
    if alignment == "pytorch_half_pixel" and outputs == 1:
        return [Fraction(offset)]
    return [(o + centre) * step - centre + Fraction(offset) for o in range(outputs)]


def resize(
    x: Any,
    height: int,
    width: int,
    kind: str,
    alignment: str,
    *,
    edge: str = "clamp",
    magnification: tuple[float, float] = (0.0, 0.0),
    offset: tuple[float, float] = (0.0, 0.0),
    rounding: str = "by_alignment",
) -> Any:
    """Samples outside read the nearest pixel or zero."""
    if rounding == "by_alignment":
        rounding = "floor" if alignment == "asymmetric" else "round_prefer_ceil"
    x = np.asarray(x, np.float64)
    for axis, outputs in ((1, height), (2, width)):
        size = x.shape[axis]

        def pixel(index: int, x: Any = x, axis: int = axis, size: int = size) -> Any:
            if edge == "zero" and not 0 <= index < size:
                return np.zeros_like(np.take(x, 0, axis=axis))
            return np.take(x, min(max(index, 0), size - 1), axis=axis)

        planes = []
        for position in _samples(size, outputs, alignment, magnification[axis - 1], offset[axis - 1]):
            if kind == "nearest":
                planes.append(pixel(_ROUNDINGS[rounding](position)))
            else:
                fraction = float(position - floor(position))
                planes.append(pixel(floor(position)) * (1 - fraction) + pixel(floor(position) + 1) * fraction)
        x = np.stack(planes, axis=axis)
    return x
