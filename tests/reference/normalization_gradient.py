"""Gradients of normalizations' inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .normalization import cross_channel_base, group_statistics


def _normalized(
    gradient: Any, x: Any, gamma: Any, epsilon: float, mean: Any, variance: Any, means_of: Any
) -> Any:
    """`means_of` takes the means that the statistics are."""
    h, deviation = np.asarray(gradient, np.float64) * gamma, np.asarray(x, np.float64) - mean
    scale = 1 / np.sqrt(variance + epsilon)
    return scale * (h - means_of(h) - deviation * scale**2 * means_of(h * deviation))


def group_normalization_gradient(gradient: Any, x: Any, gamma: Any, groups: int, epsilon: float) -> Any:
    mean, variance = group_statistics(x, groups)
    return _normalized(
        gradient, x, gamma, epsilon, mean, variance, lambda values: group_statistics(values, groups)[0]
    )


def layer_normalization_gradient(gradient: Any, x: Any, gamma: Any, epsilon: float) -> Any:
    x = np.asarray(x, np.float64)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return _normalized(
        gradient, x, gamma, epsilon, mean, variance, lambda values: values.mean(-1, keepdims=True)
    )


def cross_channel_normalization_gradient(
    gradient: Any, x: Any, kernel_size: int, alpha: float, beta: float, delta: float
) -> Any:
    gradient, x = np.asarray(gradient, np.float64), np.asarray(x, np.float64)
    base, channels = cross_channel_base(x, kernel_size, alpha, delta), x.shape[-1]
    result = gradient * base**-beta
    for r in range(channels):
        owed = 2 * alpha * beta / kernel_size * gradient[..., r] * x[..., r] * base[..., r] ** (-beta - 1)
        first, last = max(0, r - kernel_size // 2), min(channels - 1, r + (kernel_size - 1) // 2)
        result[..., first : last + 1] -= owed[..., None] * x[..., first : last + 1]
    return result
