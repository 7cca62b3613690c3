"""Recurrent layers, one step after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _sigmoid(x: Any) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _doubles(weights: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(value, np.float64) for name, value in weights.items()}


def lstm(
    x: Any, weights: Mapping[str, Any], *, hidden: Any = 0.0, cell: Any = 0.0, reverse: bool = False
) -> tuple[Array, Array]:
    """All hidden states, and the last cell state; gates are i, f, o and g.

    `weights`: input (features, 4 units), bias (4 units) and recurrent (units, 4 units).
    """
    own, x = _doubles(weights), np.asarray(x, np.float64)
    units = own["recurrent"].shape[0]
    h, c = (np.broadcast_to(state, (*x.shape[:1], *x.shape[2:-1], units)) for state in (hidden, cell))
    steps = np.zeros((*x.shape[:-1], units))
    for step in range(x.shape[1])[:: -1 if reverse else 1]:
        sums = x[:, step] @ own["input"] + own["bias"] + h @ own["recurrent"]
        i, f, o, g = np.split(sums, 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        steps[:, step] = h
    return steps, c


def gru(
    x: Any, weights: Mapping[str, Any], *, hidden: Any = 0.0, reset_after: bool = True, reverse: bool = False
) -> Array:
    """All hidden states; gates are z, r and the candidate.

    `weights`: input (features, 3 units), bias (3 units), recurrent (units, 2 units), candidate (units, units), and with
    `reset_after` state_bias (units).
    """
    own, x = _doubles(weights), np.asarray(x, np.float64)
    units = own["candidate"].shape[0]
    h = np.broadcast_to(hidden, (*x.shape[:1], *x.shape[2:-1], units))
    steps = np.zeros((*x.shape[:-1], units))
    for step in range(x.shape[1])[:: -1 if reverse else 1]:
        sums = x[:, step] @ own["input"] + own["bias"]
        z, r = (
            _sigmoid(part) for part in np.split(sums[..., : 2 * units] + h @ own["recurrent"], 2, axis=-1)
        )
        state = h @ own["candidate"] + own["state_bias"] if reset_after else (r * h) @ own["candidate"]
        state = r * state if reset_after else state
        candidate = np.tanh(sums[..., 2 * units :] + state)
        h = z * h + (1.0 - z) * candidate
        steps[:, step] = h
    return steps


def svdf(x: Any, weights: Mapping[str, Any], rank: int) -> Array:
    """`weights`: features (filters, features), time (filters, memory), the oldest first, and bias (units)."""
    own, x = _doubles(weights), np.asarray(x, np.float64)
    numbers = x @ own["features"].T
    memory = own["time"].shape[1]
    padded = np.pad(numbers, ((0, 0), (memory - 1, 0), (0, 0)))
    filters = sum(padded[:, place : place + x.shape[1]] * own["time"][:, place] for place in range(memory))
    result: Array = np.asarray(filters).reshape(*x.shape[:2], -1, rank).sum(axis=-1) + own["bias"]
    return result
