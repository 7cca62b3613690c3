"""Compute weights that are kept in 8 bits with a range for each output, as in MPSCNNConvolution's data source."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def dequantized(integers: NDArray[np.uint8], low: Any, high: Any) -> Floats:
    """Return the weights that MPS makes of integers (outputs first) and ranges: halves, here kept as floats."""
    per_channel = (-1, *[1] * (integers.ndim - 1))
    low, high = (np.asarray(end, np.float32).reshape(per_channel) for end in (low, high))
    weights = integers.astype(np.float32) / np.float32(255) * (high - low) + low
    return weights.astype(np.float16).astype(np.float32)


def quantized(weights: Floats) -> Floats:
    """Replace weights by the nearest of 256 numbers between the smallest and the largest weight of the output."""
    flat = weights.reshape(len(weights), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    extent = high.astype(np.float64) - low
    steps = np.divide(255, extent, out=np.zeros_like(extent), where=extent > 0)
    integers = np.floor((flat.astype(np.float64) - low[:, None]) * steps[:, None] + 0.5).astype(np.uint8)
    return dequantized(integers, low, high).reshape(weights.shape)


def stored(integers: NDArray[np.uint8], scales: Any, zero_points: Any, factors: Any = 1) -> Floats:
    """Return weights (integer - zero point) * scale * factor as MPS has them: by ranges for the same integers."""
    channels = np.ones(len(integers))
    scales = np.float64(np.float32(scales)) * factors * channels
    zero_points = np.float64(zero_points) * channels
    low, high = -zero_points * scales, (255 - zero_points) * scales
    counted = np.array(
        [values if scale >= 0 else 255 - values for values, scale in zip(integers, scales, strict=True)]
    )
    return dequantized(counted, np.minimum(low, high), np.maximum(low, high))
