"""Compute the loss of SSD (Liu et al. 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _log_softmax(y: Array) -> Array:
    y = y - y.max(-1, keepdims=True)
    return y - np.log(np.exp(y).sum(-1, keepdims=True))


def cross_entropies(y: Array, t: Array) -> Array:
    """Return the cross entropy of each anchor."""
    return -(t[..., 4:] * _log_softmax(y[..., 4:])).sum(-1)


def choice(y: Array, t: Array, attributes: dict[str, Any]) -> tuple[Array, Array]:
    """Return which anchors have a box, and of which anchors the class counts in the loss."""
    boxes = t[..., 5:].sum(-1) > 0
    background = ~boxes & (t[..., 4] > 0)
    errors, counted = cross_entropies(y, t), boxes.copy()
    for image in range(len(y)):
        wanted = int(np.float32(attributes.get("negative_ratio", 3.0)) * np.float32(boxes[image].sum()))
        wanted = max(wanted, attributes.get("min_negatives", 0))
        worst = sorted(np.flatnonzero(background[image]), key=lambda k: -errors[image, k])
        counted[image, worst[:wanted]] = True  # sorting keeps the order of equal errors
    return boxes, counted


def loss(y: Array, t: Array, attributes: dict[str, Any], chosen: tuple[Array, Array] | None = None) -> Array:
    y, t = np.asarray(y, np.float64), np.asarray(t, np.float64)
    boxes, counted = chosen or choice(y, t, attributes)
    delta = attributes.get("delta", 1.0)
    size = np.abs(y[..., :4] - t[..., :4])
    of_boxes = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).sum(-1)
    total = attributes.get("box_weight", 1.0) * of_boxes[boxes].sum() + cross_entropies(y, t)[counted].sum()
    return np.array([[total / max(1, boxes.sum())]])


def loss_gradient(y: Array, t: Array, attributes: dict[str, Any]) -> Array:
    y, t = np.asarray(y, np.float64), np.asarray(t, np.float64)
    boxes, counted = choice(y, t, attributes)
    delta = attributes.get("delta", 1.0)
    of_boxes = np.clip(y[..., :4] - t[..., :4], -delta, delta) * attributes.get("box_weight", 1.0)
    of_classes = np.exp(_log_softmax(y[..., 4:])) - t[..., 4:]
    gradient = np.concatenate([of_boxes * boxes[..., None], of_classes * counted[..., None]], -1)
    return gradient / max(1, boxes.sum())
