"""Compute normalizations."""

from __future__ import annotations

from typing import Any

import numpy as np


def batch_normalization(x: Any, epsilon: float, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
    x, mean, variance = (np.asarray(part, np.float64) for part in (x, mean, variance))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def batch_statistics(x: Any) -> Any:
    """Return the means, then the variances, of the channels."""
    x = np.asarray(x, np.float64)
    axes = tuple(range(x.ndim - 1))
    return np.stack([x.mean(axes), x.var(axes)])[None, :, None, :]


def group_statistics(x: Any, groups: int) -> tuple[Any, Any]:
    """Return mean and variance of each element's group, in shapes that broadcast to x."""
    x = np.asarray(x, np.float64)
    size = x.shape[-1] // groups
    cut = x.reshape(x.shape[0], -1, groups, size)
    shape = (x.shape[0], *[1] * (x.ndim - 2), x.shape[-1])
    mean, variance = cut.mean((1, 3)), cut.var((1, 3))
    return np.repeat(mean, size, axis=1).reshape(shape), np.repeat(variance, size, axis=1).reshape(shape)


def group_normalization(x: Any, groups: int, epsilon: float, gamma: Any, beta: Any) -> Any:
    return batch_normalization(x, epsilon, *group_statistics(x, groups), gamma, beta)


def layer_normalization(
    x: Any, epsilon: float, gamma: Any, beta: Any, norm: str = "deviation", epsilon_rule: str = "inside"
) -> Any:
    """Divide by a norm of the last axis. Where the norm is 0, the quotient is 0."""
    x = np.asarray(x, np.float64)
    if norm == "deviation":
        x = x - x.mean(-1, keepdims=True)
    size = length(x, epsilon, norm, epsilon_rule)
    return gamma * np.divide(x, size, out=np.zeros_like(x), where=size != 0) + beta


def length(x: Any, epsilon: float, norm: str, epsilon_rule: str) -> Any:
    """Return what the elements are divided by. For "deviation" x is already the distance from the mean."""
    terms = np.abs(x) if norm == "l1_norm" else np.square(x)
    total = (np.sum if norm in ("l1_norm", "l2_norm") else np.mean)(terms, axis=-1, keepdims=True)
    if epsilon_rule == "inside":
        total = total + epsilon
    root = total if norm == "l1_norm" else np.sqrt(total)
    return {"inside": root, "outside": root + epsilon, "minimum": np.maximum(root, epsilon)}[epsilon_rule]


def cross_channel_base(x: Any, kernel_size: int, alpha: float, delta: float) -> Any:
    """Return delta + alpha / kernel_size * sum of the neighbours' squares."""
    squares = np.square(np.asarray(x, np.float64))
    channels = squares.shape[-1]
    sums = np.zeros_like(squares)
    for k in range(channels):
        first, last = max(0, k - kernel_size // 2), min(channels - 1, k + (kernel_size - 1) // 2)
        sums[..., k] = squares[..., first : last + 1].sum(axis=-1)
    return delta + alpha / kernel_size * sums


def cross_channel_normalization(x: Any, kernel_size: int, alpha: float, beta: float, delta: float) -> Any:
    return np.asarray(x, np.float64) / cross_channel_base(x, kernel_size, alpha, delta) ** beta


def windows(x: Any, attributes: dict[str, Any]) -> Any:
    """Return the elements of the result's windows (taps, n, height, width, channels), and those in their centres."""
    x = np.asarray(x, np.float64)
    kernel_height, kernel_width = attributes.get("kernel_height", 5), attributes.get("kernel_width", 5)
    height = attributes.get("height", 0) or x.shape[1]
    width = attributes.get("width", 0) or x.shape[2]
    rows = np.arange(height) + attributes.get("offset_y", 0)
    columns = np.arange(width) + attributes.get("offset_x", 0)

    def at(y: Any, z: Any) -> Any:
        inside_y, inside_z = np.clip(y, 0, x.shape[1] - 1), np.clip(z, 0, x.shape[2] - 1)
        values = x[:, inside_y][:, :, inside_z]
        if attributes.get("edge", "zero") == "clamp":
            return values
        inside = (y == inside_y)[:, None] & (z == inside_z)[None, :]
        return np.where(inside[None, :, :, None], values, 0.0)

    taps = [
        at(rows - kernel_height // 2 + i, columns - kernel_width // 2 + j)
        for i in range(kernel_height)
        for j in range(kernel_width)
    ]
    return np.stack(taps), at(rows, columns)


def spatial_normalization(x: Any, attributes: dict[str, Any]) -> Any:
    taps, centre = windows(x, attributes)
    alpha, beta, delta = (
        attributes.get(name, default) for name, default in (("alpha", 1), ("beta", 5), ("delta", 1))
    )
    return centre / (delta + alpha * np.square(taps).mean(axis=0)) ** beta


def local_contrast_normalization(x: Any, attributes: dict[str, Any]) -> Any:
    taps, centre = windows(x, attributes)
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 0.5)
    delta, p0 = attributes.get("delta", 1 / 1024), attributes.get("p0", 1.0)
    base = delta + alpha * taps.var(axis=0)
    return (
        attributes.get("pm", 0.0) + attributes.get("ps", 1.0) * (centre - p0 * taps.mean(axis=0)) / base**beta
    )
