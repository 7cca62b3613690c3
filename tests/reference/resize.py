"""Resize images: nearest, bilinear and Lanczos."""

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


def _step(size: int, outputs: int, alignment: str, magnification: float) -> Fraction:
    """Return the distance between the input positions of two neighbouring outputs."""
    if alignment == "corners":
        return Fraction(size - 1, outputs - 1) if outputs > 1 else Fraction(0)
    if alignment == "pytorch_half_pixel" and outputs == 1:
        return Fraction(0)
    return Fraction(size, outputs) if not magnification else 1 / Fraction(magnification)


def _samples(size: int, outputs: int, alignment: str, magnification: float, offset: float) -> list[Fraction]:
    """Return the exact input position of each output."""
    step = _step(size, outputs, alignment, magnification)
    centre = Fraction(1, 2) if alignment.endswith("half_pixel") else Fraction(0)
    if alignment == "pytorch_half_pixel" and outputs == 1:
        return [Fraction(offset)]
    return [(o + centre) * step - centre + Fraction(offset) for o in range(outputs)]


def _lanczos(position: Fraction, step: Fraction, size: int, edge: str) -> Any:
    """Return the weight of each input: sinc(t) sinc(t / 3), stretched if the image becomes smaller."""
    stretch = max(step, Fraction(1))
    weights, total = np.zeros(size), 0.0
    for index in range(ceil(position - 3 * stretch), floor(position + 3 * stretch) + 1):
        exact = (index - position) / stretch
        is_zero = exact != 0 and (exact.denominator == 1 or abs(exact) >= 3)
        t = float(exact)
        weight = 0.0 if is_zero else float(np.sinc(t) * np.sinc(t / 3))
        total += weight
        if edge == "clamp" or 0 <= index < size:
            weights[min(max(index, 0), size - 1)] += weight
    return weights / total


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
    magnitudes: bool = False,
) -> Any:
    """Resize. `edge` says whether samples outside the image read the nearest pixel or zero.

    With `magnitudes`, the absolute values of Lanczos' weights are used, for error bounds.
    """
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
            if kind == "lanczos":
                step = _step(size, outputs, alignment, magnification[axis - 1])
                weights = _lanczos(position, step, size, edge)
                planes.append(
                    np.tensordot(np.moveaxis(x, axis, -1), abs(weights) if magnitudes else weights, 1)
                )
            elif kind == "nearest":
                planes.append(pixel(_ROUNDINGS[rounding](position)))
            else:
                fraction = float(position - floor(position))
                planes.append(pixel(floor(position)) * (1 - fraction) + pixel(floor(position) + 1) * fraction)
        x = np.stack(planes, axis=axis)
    return x
