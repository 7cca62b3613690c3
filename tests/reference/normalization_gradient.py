"""Compute gradients of normalizations' inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .normalization import cross_channel_base, group_statistics, length


def _normalized(
    gradient: Any, x: Any, gamma: Any, epsilon: float, mean: Any, variance: Any, means_of: Any
) -> Any:
    """Return the gradient. `means_of` computes means over the elements that the statistics belong to."""
    h, deviation = np.asarray(gradient, np.float64) * gamma, np.asarray(x, np.float64) - mean
    scale = 1 / np.sqrt(variance + epsilon)
    return scale * (h - means_of(h) - deviation * scale**2 * means_of(h * deviation))


def group_normalization_gradient(gradient: Any, x: Any, gamma: Any, groups: int, epsilon: float) -> Any:
    mean, variance = group_statistics(x, groups)
    return _normalized(
        gradient, x, gamma, epsilon, mean, variance, lambda values: group_statistics(values, groups)[0]
    )


def layer_normalization_gradient(
    gradient: Any,
    x: Any,
    gamma: Any,
    epsilon: float,
    norm: str = "deviation",
    epsilon_rule: str = "inside",
) -> Any:
    """Return the gradient of x for the result gamma * z / s + beta, where s is the norm.

    z is x, or x - mean for "deviation". With h = gradient * gamma and the derivative s' of the norm, the gradient is
    (h - s' * sum of h * z / s) / s, from which "deviation" subtracts its mean.
    """
    h, z = np.asarray(gradient, np.float64) * gamma, np.asarray(x, np.float64)
    if norm == "deviation":
        z = z - z.mean(-1, keepdims=True)
    size = length(z, epsilon, norm, epsilon_rule)
    root = length(z, epsilon if epsilon_rule == "inside" else 0.0, norm, "inside")
    count = z.shape[-1] if norm in ("deviation", "root_mean_square") else 1
    direction = np.sign(z) if norm == "l1_norm" else np.divide(z, root * count, where=root > 0, out=0 * z)
    if epsilon_rule == "minimum":
        direction = np.where(root < epsilon, 0.0, direction)
    inverse = np.divide(1.0, size, where=size > 0, out=np.zeros_like(size))
    result = inverse * (h - direction * (h * z).sum(-1, keepdims=True) * inverse)
    return result - (inverse * h.mean(-1, keepdims=True) if norm == "deviation" else 0.0)


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
