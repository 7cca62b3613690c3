"""Add resizes to a size and by factors, as many formats have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

CORNERS, HALF_PIXEL, FROM_EDGE = "align_corners", "half_pixel", "asymmetric"
"""How pixels of the result are aligned with those of the image: at corners, at pixel centres, or at the first edge."""

_MAX_SIDE = 2**31 - 1


def resize(b: Builder, x: str, size: Sequence[int], samples: str, *, nearest: bool = False) -> str:
    """Resize an image (..., height, width) to a size."""
    extents = b.extents(x)
    if len(extents) < 3 or len(size) != 2:
        raise WeightsError(f"damaged: resizes a tensor of {len(extents)} axes to {list(size)}")
    if not all(0 < side <= _MAX_SIDE for side in size):
        raise WeightsError(f"damaged: resizes to {list(size)}")
    if None in extents[1:-2]:
        raise UnsupportedError("the number of its input's channels is not known")
    sides = [len(extents) - 2, len(extents) - 1]
    return ops.resize(b, x, None, list(size), axes=sides, **_attributes(samples, nearest=nearest))


def resize_by_factors(
    b: Builder, x: str, factors: Sequence[float], samples: str, *, nearest: bool = False
) -> str:
    """Resize an image (..., height, width) by factors."""
    if len(factors) != 2 or not all(math.isfinite(factor) and factor > 0 for factor in factors):
        raise WeightsError(f"damaged: its factors are {list(factors)}")
    sides = b.extents(x)[-2:]
    if None not in sides:
        size = [math.floor((side or 0) * factor + 1e-6) for side, factor in zip(sides, factors, strict=True)]
        return resize(b, x, size, samples, nearest=nearest)
    scales = np.asarray([1.0] * (b.rank(x) - 2) + list(factors), np.float32)
    return ops.resize(b, x, b.weight("scales", scales), **_attributes(samples, nearest=nearest))


def _attributes(samples: str, *, nearest: bool) -> dict[str, Any]:
    if not nearest:
        return {"mode": "linear", "coordinate_transformation_mode": samples}
    return {"mode": "nearest", "coordinate_transformation_mode": samples, "nearest_mode": "floor"}
