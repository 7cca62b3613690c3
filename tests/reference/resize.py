"""Nearest and bilinear resize."""

from __future__ import annotations

from typing import Any

import numpy as np


def _samples(size: int, outputs: int, alignment: str) -> list[float]:
    if alignment == "corners":
        return [o * (size - 1) / (outputs - 1) if outputs > 1 else 0.0 for o in range(outputs)]
    if alignment == "asymmetric":
        return [o * size / outputs for o in range(outputs)]
    return [(o + 0.5) * size / outputs - 0.5 for o in range(outputs)]


def resize(x: Any, height: int, width: int, kind: str, alignment: str) -> Any:
    """Positions are clamped to the image. Nearest rounds half up; asymmetric positions are cut off."""
    x = np.asarray(x, np.float64)
    for axis, outputs in ((1, height), (2, width)):
        size = x.shape[axis]
        planes = []
        for position in _samples(size, outputs, alignment):
            if kind == "nearest":
                index = int(np.floor(position + (0.0 if alignment == "asymmetric" else 0.5)))
                planes.append(np.take(x, min(max(index, 0), size - 1), axis=axis))
            else:
                position = min(max(position, 0.0), size - 1.0)
                low = int(np.floor(position))
                fraction = position - low
                upper = np.take(x, min(low + 1, size - 1), axis=axis)
                planes.append(np.take(x, low, axis=axis) * (1 - fraction) + upper * fraction)
        x = np.stack(planes, axis=axis)
    return x
