"""Compute gradients of a batch normalization that normalizes by the statistics of its own batch."""

from __future__ import annotations

from typing import Any

import numpy as np


def _normalized(x: Any, statistics: Any, epsilon: float) -> tuple[Any, Any]:
    """Return the normalized input and the standard deviation."""
    mean, variance = np.asarray(statistics, np.float64)[0, :, 0]
    deviation = np.sqrt(variance + epsilon)
    return (np.asarray(x, np.float64) - mean) / deviation, deviation


def normalization_sums(gradient: Any, x: Any, statistics: Any, epsilon: float) -> Any:
    """Return the gradients of beta and gamma, in the shape (1, 2, 1, channels)."""
    gradient = np.asarray(gradient, np.float64)
    normalized, _ = _normalized(x, statistics, epsilon)
    axes = tuple(range(gradient.ndim - 1))
    return np.stack([gradient.sum(axes), (gradient * normalized).sum(axes)])[None, :, None]


def normalization_gradient(
    gradient: Any, x: Any, statistics: Any, sums: Any, gamma: Any, epsilon: float
) -> Any:
    gradient, sums = np.asarray(gradient, np.float64), np.asarray(sums, np.float64)
    normalized, deviation = _normalized(x, statistics, epsilon)
    count = gradient.size // gradient.shape[-1]
    own = gradient - sums[0, 0, 0] / count - normalized * sums[0, 1, 0] / count
    return own * (1.0 if gamma is None else np.asarray(gamma, np.float64)) / deviation
