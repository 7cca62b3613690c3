"""Compute recurrent layers one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Any], Any]


def _sigmoid(x: Any) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _doubles(weights: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.asarray(value, np.float64) for name, value in weights.items()}


def lstm(
    x: Any,
    weights: Mapping[str, Any],
    *,
    hidden: Any = 0.0,
    cell: Any = 0.0,
    reverse: bool = False,
    gate: Function = _sigmoid,
    candidate: Function = np.tanh,
    output: Function = np.tanh,
) -> tuple[Array, Array]:
    """Return all hidden states, and the last cell state. The order of the gates is i, f, o, g.

    `weights` has input (features, 4 units), bias (4 units) and recurrent (units, 4 units). `gate` is the function of i,
    f and o, `candidate` that of g, and `output` that of the cell state.
    """
    own, x = _doubles(weights), np.asarray(x, np.float64)
    units = own["recurrent"].shape[0]
    h, c = (np.broadcast_to(state, (*x.shape[:1], *x.shape[2:-1], units)) for state in (hidden, cell))
    steps = np.zeros((*x.shape[:-1], units))
    for step in range(x.shape[1])[:: -1 if reverse else 1]:
        sums = x[:, step] @ own["input"] + own["bias"] + h @ own["recurrent"]
        i, f, o, g = np.split(sums, 4, axis=-1)
        c = gate(f) * c + gate(i) * candidate(g)
        h = gate(o) * output(c)
        steps[:, step] = h
    return steps, c


def gru(
    x: Any,
    weights: Mapping[str, Any],
    *,
    hidden: Any = 0.0,
    reset_after: bool = True,
    reverse: bool = False,
    gate: Function = _sigmoid,
    candidate: Function = np.tanh,
) -> Array:
    """Return all hidden states. The order of the gates is z, r, candidate.

    `weights` has input (features, 3 units), bias (3 units), recurrent (units, 2 units), candidate (units, units) and,
    with `reset_after`, state_bias (units). `gate` is the function of z and r, and `candidate` that of the candidate.
    """
    own, x = _doubles(weights), np.asarray(x, np.float64)
    units = own["candidate"].shape[0]
    h = np.broadcast_to(hidden, (*x.shape[:1], *x.shape[2:-1], units))
    steps = np.zeros((*x.shape[:-1], units))
    for step in range(x.shape[1])[:: -1 if reverse else 1]:
        sums = x[:, step] @ own["input"] + own["bias"]
        z, r = (gate(part) for part in np.split(sums[..., : 2 * units] + h @ own["recurrent"], 2, axis=-1))
        state = h @ own["candidate"] + own["state_bias"] if reset_after else (r * h) @ own["candidate"]
        state = r * state if reset_after else state
        h = z * h + (1.0 - z) * candidate(sums[..., 2 * units :] + state)
        steps[:, step] = h
    return steps


def lstm_gradient(
    gradient: Any, sums: Any, weight: Any, *, hidden: Any = 0.0, cell: Any = 0.0, reverse: bool = False
) -> Array:
    """Return the gradients of the gates' sums in all steps. One more step has those of both initial states, and zeros.

    `gradient` has the gradients of all hidden states and of the last cell state. `weight` is (4 units, units).
    """
    gradient, sums, weight = (np.asarray(one, np.float64) for one in (gradient, sums, weight))
    batch, steps, sequences, units = sums.shape[0], sums.shape[1], sums.shape[2], weight.shape[1]
    h, c = (np.broadcast_to(state, (batch, sequences, units)) for state in (hidden, cell))
    order = list(range(steps))[:: -1 if reverse else 1]
    known = []
    for step in order:
        i, f, o, g = np.split(sums[:, step] + h @ weight.T, 4, axis=-1)
        i, f, o, g = _sigmoid(i), _sigmoid(f), _sigmoid(o), np.tanh(g)
        known.append((i, f, o, g, c))
        c = f * c + i * g
        h = o * np.tanh(c)
    result = np.zeros((batch, steps + 1, sequences, 4 * units))
    dh, dc = np.zeros_like(h), gradient[:, steps]
    for step, (i, f, o, g, before) in zip(reversed(order), reversed(known), strict=True):
        dh = dh + gradient[:, step]
        y = np.tanh(f * before + i * g)
        dc = dc + dh * o * (1 - y**2)
        own = [dc * g * i * (1 - i), dc * before * f * (1 - f), dh * y * o * (1 - o), dc * i * (1 - g**2)]
        result[:, step] = np.concatenate(own, axis=-1)
        dh, dc = result[:, step] @ weight, dc * f
    result[:, steps, :, : 2 * units] = np.concatenate([dh, dc], axis=-1)
    return result


def gru_gradient(
    gradient: Any,
    sums: Any,
    weight: Any,
    bias: Any = None,
    *,
    hidden: Any = 0.0,
    reverse: bool = False,
) -> Array:
    """Return, for each step, the gradients of the sums of z, r and the candidate, and a fourth part of `units` numbers.

    With a bias, r multiplies the product of the state with the weights, and the fourth part is the gradient of that
    product. Without a bias, r multiplies the state h, and the fourth part is r h. One more step has the gradient of the
    initial state, and zeros. `weight` is (3 units, units).
    """
    gradient, sums, weight = (np.asarray(one, np.float64) for one in (gradient, sums, weight))
    batch, steps, sequences, units = sums.shape[0], sums.shape[1], sums.shape[2], weight.shape[1]
    matrices = np.split(weight, 3)
    h = np.broadcast_to(np.asarray(hidden, np.float64), (batch, sequences, units))
    order = list(range(steps))[:: -1 if reverse else 1]
    known = []
    for step in order:
        z, r, n = np.split(sums[:, step], 3, axis=-1)
        z, r = _sigmoid(z + h @ matrices[0].T), _sigmoid(r + h @ matrices[1].T)
        product = (r * h) @ matrices[2].T if bias is None else h @ matrices[2].T + bias
        n = np.tanh(n + (product if bias is None else r * product))
        known.append((z, r, n, product, h))
        h = z * h + (1 - z) * n
    result = np.zeros((batch, steps + 1, sequences, 4 * units))
    dh = np.zeros_like(h)
    for step, (z, r, n, product, before) in zip(reversed(order), reversed(known), strict=True):
        dh = dh + gradient[:, step]
        dz, dn = dh * (before - n) * z * (1 - z), dh * (1 - z) * (1 - n**2)
        dh = dh * z
        if bias is None:
            gated = dn @ matrices[2]
            dr, last = gated * before * r * (1 - r), r * before
            dh = dh + gated * r
        else:
            dr, last = dn * product * r * (1 - r), dn * r
            dh = dh + last @ matrices[2]
        dh = dh + dz @ matrices[0] + dr @ matrices[1]
        result[:, step] = np.concatenate([dz, dr, dn, last], axis=-1)
    result[:, steps, :, :units] = dh
    return result


def svdf(x: Any, weights: Mapping[str, Any], rank: int, history: Any = None) -> Array:
    """Return the results of SVDF, TensorFlow Lite's layer of filters over features and then over time.

    `weights` has features (filters, features), time (filters, memory) with the oldest step first, and bias (units).
    `history` has the filters' numbers of the memory - 1 steps before the first step.
    """
    own, x = _doubles(weights), np.asarray(x, np.float64)
    numbers = x @ own["features"].T
    memory = own["time"].shape[1]
    padded = np.pad(numbers, ((0, 0), (memory - 1, 0), (0, 0)))
    if history is not None:
        padded[:, : memory - 1] = history
    filters = sum(padded[:, place : place + x.shape[1]] * own["time"][:, place] for place in range(memory))
    result: Array = np.asarray(filters).reshape(*x.shape[:2], -1, rank).sum(axis=-1) + own["bias"]
    return result
