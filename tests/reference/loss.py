"""Compute the losses of MPSCNNLoss and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np


def _softmax(y: Any) -> Any:
    power = np.exp(y - y.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def _times_log(t: Any, x: Any) -> Any:
    return np.where(t == 0, 0.0, t * np.log(np.where(t == 0, 1.0, x)))


def _smoothed(t: Any, attributes: dict[str, Any]) -> Any:
    share, kind = attributes.get("label_smoothing", 0.0), attributes["kind"]
    if kind == "softmax_cross_entropy":
        return t * (1 - share) + share / attributes.get("number_of_classes", 1)
    if kind == "sigmoid_cross_entropy":
        return t * (1 - share) + share / 2
    return t


def element_losses(y: Any, t: Any, attributes: dict[str, Any]) -> Any:
    kind, epsilon = attributes["kind"], attributes.get("epsilon", 1e-7)
    delta, size = attributes.get("delta", 1.0), np.abs(y - t)
    t = _smoothed(t, attributes)
    return {
        "mean_absolute_error": lambda: size,
        "mean_squared_error": lambda: size**2,
        "softmax_cross_entropy": lambda: -t * np.log(_softmax(y)),
        "sigmoid_cross_entropy": lambda: np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y))),
        "categorical_cross_entropy": lambda: -_times_log(t, y),
        "hinge": lambda: np.maximum(1 - (2 * t - 1) * y, 0),
        "huber": lambda: np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)),
        "cosine_distance": lambda: 1 / (y.size // y.shape[0]) - y * t,
        "log": lambda: -_times_log(t, y + epsilon) - _times_log(1 - t, 1 - y + epsilon),
        "kullback_leibler": lambda: _times_log(t, t) - t * y,
    }[kind]()


def element_gradients(y: Any, t: Any, attributes: dict[str, Any]) -> Any:
    kind, epsilon = attributes["kind"], attributes.get("epsilon", 1e-7)
    delta, sign = attributes.get("delta", 1.0), 2 * t - 1
    t = _smoothed(t, attributes)
    return {
        "mean_absolute_error": lambda: np.sign(y - t),
        "mean_squared_error": lambda: 2 * (y - t),
        "softmax_cross_entropy": lambda: _softmax(y) - t,
        "sigmoid_cross_entropy": lambda: 1 / (1 + np.exp(-y)) - t,
        "categorical_cross_entropy": lambda: -t / y,
        "hinge": lambda: np.where(1 - sign * y > 0, -sign, 0.0),
        "huber": lambda: np.clip(y - t, -delta, delta),
        "cosine_distance": lambda: -t,
        "log": lambda: (1 - t) / (1 - y + epsilon) - t / (y + epsilon),
        "kullback_leibler": lambda: -t,
    }[kind]()


def _divisor(y: Any, weights: Any, attributes: dict[str, Any]) -> Any:
    """Return what sums are divided by: (n, 1) or one number.

    The mean of a softmax cross entropy counts pixels, and so does "sum_by_nonzero_weights" unless `counts_pixels` is
    false. Everything else counts elements.
    """
    reduction, kind = attributes.get("reduction", "mean"), attributes["kind"]
    across = attributes.get("reduce_across_batch", True)
    of_pixels = kind == "softmax_cross_entropy" and attributes.get("counts_pixels", True)
    if reduction in ("none", "sum"):
        return 1.0
    if reduction == "sum_by_nonzero_weights" and weights is not None:
        counted = weights != 0
        if of_pixels:
            counted = counted.any(-1)
        counts = counted.reshape(len(y), -1).sum(1, keepdims=True)
        return np.maximum(counts.sum() if across else counts, 1)
    elements = y.size // len(y)
    if of_pixels or (reduction == "mean" and kind == "softmax_cross_entropy"):
        elements //= y.shape[-1]
    return elements * (len(y) if across else 1)


def loss(y: Any, t: Any, weights: Any, attributes: dict[str, Any]) -> Any:
    y, t = np.asarray(y, np.float64), np.asarray(t, np.float64)
    losses = element_losses(y, t, attributes) * attributes.get("weight", 1.0)
    if weights is not None:
        losses = losses * weights
    if attributes.get("reduction", "mean") == "none":
        return losses
    sums = losses.reshape(len(y), -1).sum(1, keepdims=True)
    if attributes.get("reduce_across_batch", True):
        sums = sums.sum(0, keepdims=True)
    return sums / _divisor(y, weights, attributes)


def loss_gradient(y: Any, t: Any, weights: Any, attributes: dict[str, Any]) -> Any:
    y, t = np.asarray(y, np.float64), np.asarray(t, np.float64)
    weights = np.ones_like(y) if weights is None else np.asarray(weights, np.float64)
    is_derivative, factor = attributes.get("divides", True), attributes.get("weight", 1.0)
    if is_derivative and attributes["kind"] == "softmax_cross_entropy":
        labels = weights * _smoothed(t, attributes)
        gradients = _softmax(y) * labels.sum(-1, keepdims=True) - labels
    else:
        gradients = element_gradients(y, t, attributes) * weights
    return gradients * factor / (_divisor(y, None, attributes) if is_derivative else 1.0)
