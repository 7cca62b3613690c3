"""Gradients of activation functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .neuron import _erfc, _sigmoid


def neuron_gradient(gradient: Any, x: Any, attributes: dict[str, Any], slope: Any = None) -> Any:
    """`x` is the neuron's input or, with from_result, its result."""
    x, gradient = np.asarray(x, np.float64), np.asarray(gradient, np.float64)
    kind = attributes.get("kind", "none")
    a, b, c = (np.float64(attributes.get(name, 0.0)) for name in "abc")
    with np.errstate(all="ignore"):
        if kind == "prelu":
            factor = np.where(x > 0, 1.0, np.asarray(slope, np.float64))
        else:
            factor = (_OF_RESULT if attributes.get("from_result") else _OF_INPUT)[kind](x, a, b, c)
        return gradient * factor


def _between(x: Any, low: Any, high: Any) -> Any:
    return np.where((low < x) & (x < high), 1.0, 0.0)


def _relun(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.where(np.where(x > 0, x, a * x) < b, np.where(x > 0, 1.0, a), 0.0)


def _power(x: Any, a: Any, b: Any, c: Any) -> Any:
    return 0.0 * x if c == 0 else a * c * np.power(a * x + b, c - 1)


def _base(c: Any) -> Any:
    """The natural logarithm of the base."""
    return 1.0 if c == -1 else np.log(c)


def _gelu(x: Any, a: Any, b: Any, c: Any) -> Any:
    return _erfc(-x / np.sqrt(2)) / 2 + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _times_sigmoid(x: Any, t: Any, dt: Any) -> Any:
    """Of x * sigmoid(t)."""
    return _sigmoid(t) + x * dt * _sigmoid(t) * _sigmoid(-t)


def _mish(x: Any, a: Any, b: Any, c: Any) -> Any:
    tangent = np.tanh(np.logaddexp(0, x))
    return tangent + x * (1 - tangent**2) * _sigmoid(x)


def _gelu_tanh(x: Any, a: Any, b: Any, c: Any) -> Any:
    factor = 2 * np.sqrt(2 / np.pi)
    return _times_sigmoid(x, factor * (x + 0.044715 * x**3), factor * (1 + 3 * 0.044715 * x**2))


def _hard_swish(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.where(x <= -3, 0.0, np.where(x < 3, x / 3 + 0.5, 1.0))


_OF_INPUT: dict[str, Any] = {
    "none": lambda x, a, b, c: np.ones_like(x),
    "relu": lambda x, a, b, c: np.where(x > 0, 1.0, a),
    "linear": lambda x, a, b, c: a + 0 * x,
    "sigmoid": lambda x, a, b, c: _sigmoid(x) * _sigmoid(-x),
    "hard_sigmoid": lambda x, a, b, c: a * _between(a * x + b, 0, 1),
    "tanh": lambda x, a, b, c: a * b / np.cosh(b * x) ** 2,
    "absolute": lambda x, a, b, c: np.sign(x),
    "softplus": lambda x, a, b, c: a * b * _sigmoid(b * x),
    "softsign": lambda x, a, b, c: 1 / (1 + np.abs(x)) ** 2,
    "elu": lambda x, a, b, c: np.where(x > 0, 1.0, a * np.exp(np.minimum(x, 0))),
    "relun": _relun,
    "power": _power,
    "exponential": lambda x, a, b, c: a * _base(c) * np.exp(_base(c) * (a * x + b)),
    "logarithm": lambda x, a, b, c: a / (_base(c) * (a * x + b)),
    "gelu": _gelu,
    "hard_swish": _hard_swish,
    "swish": lambda x, a, b, c: _times_sigmoid(x, b * x, b),
    "mish": _mish,
    "gelu_tanh": _gelu_tanh,
    "clamp": lambda x, a, b, c: _between(x, a, b),
    "sign": lambda x, a, b, c: 0.0 * x,
    "floor": lambda x, a, b, c: 0.0 * x,
    "ceil": lambda x, a, b, c: 0.0 * x,
    "round": lambda x, a, b, c: 0.0 * x,
    "erf": lambda x, a, b, c: 2 / np.sqrt(np.pi) * np.exp(-(x**2)),
}
_OF_RESULT: dict[str, Any] = {
    "none": lambda y, a, b, c: np.ones_like(y),
    "relu": lambda y, a, b, c: np.where(y > 0, 1.0, a),
    "linear": lambda y, a, b, c: a + 0 * y,
    "sigmoid": lambda y, a, b, c: y * (1 - y),
    "hard_sigmoid": lambda y, a, b, c: a * _between(y, 0, 1),
    "tanh": lambda y, a, b, c: a * b * (1 - (y / a) ** 2),
    "softplus": lambda y, a, b, c: -a * b * np.expm1(-y / a),
    "softsign": lambda y, a, b, c: (1 - np.abs(y)) ** 2,
    "elu": lambda y, a, b, c: np.where(y > 0, 1.0, y + a),
    "relun": lambda y, a, b, c: np.where(y < b, np.where(y > 0, 1.0, a), 0.0),
    "exponential": lambda y, a, b, c: a * _base(c) * y,
    "clamp": lambda y, a, b, c: _between(y, a, b),
}
