"""Activation functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def neuron(x: Any, attributes: dict[str, Any], slope: Any = None) -> Any:
    """MPSCNNNeuronType's functions."""
    x = np.asarray(x, np.float64)
    kind = attributes.get("kind", "none")
    a, b, c = (np.float64(attributes.get(name, 0.0)) for name in "abc")
    with np.errstate(all="ignore"):
        return _FUNCTIONS[kind](x, a, b, c) if kind != "prelu" else np.where(x >= 0, x, x * np.asarray(slope))


def _relu(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.where(x >= 0, x, a * x if a != 0 else np.where(np.isnan(x), x, 0.0))


def _power(x: Any, a: Any, b: Any, c: Any) -> Any:
    base = a * x + b
    # Unlike with C's pow, NaN^0 is NaN. numpy's takes the square root for c = 0.5, which is NaN for -infinity.
    result = np.where(np.isneginf(base), math.pow(-math.inf, c), np.power(base, c))
    return np.where(np.isnan(base), base, result)


def _exponential(x: Any, a: Any, b: Any, c: Any) -> Any:
    exponent = a * x + b
    power = np.exp(exponent) if c == -1 else np.power(c, exponent)
    return np.where(np.isnan(exponent), exponent, power)


def _logarithm(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.log(a * x + b) / (1.0 if c == -1 else np.log(c))


def _gelu(x: Any, a: Any, b: Any, c: Any) -> Any:
    # 1 + erf(z) = erfc(-z), without the cancellation for negative z.
    return x / 2 * _erfc(-x / np.sqrt(2.0))


def _hard_swish(x: Any, a: Any, b: Any, c: Any) -> Any:
    return x * (np.clip(x + 3, 0, 6) / 6)


def _swish(x: Any, a: Any, b: Any, c: Any) -> Any:
    return x * _sigmoid(b * x)


def _mish(x: Any, a: Any, b: Any, c: Any) -> Any:
    # tanh(ln(1 + z)) = z (z + 2) / (z (z + 2) + 2), of which tanh and ln lose the digits where z is small.
    z = np.exp(np.minimum(x, 300))
    return x * (z * (z + 2) / (z * (z + 2) + 2))


def _gelu_tanh(x: Any, a: Any, b: Any, c: Any) -> Any:
    # (1 + tanh y) / 2 is the sigmoid of 2 y.
    return x * _sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def _sigmoid(x: Any) -> Any:
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


_FUNCTIONS: dict[str, Any] = {
    "none": lambda x, a, b, c: x,
    "relu": _relu,
    "linear": lambda x, a, b, c: a * x + b,
    "sigmoid": lambda x, a, b, c: _sigmoid(x),
    "hard_sigmoid": lambda x, a, b, c: np.clip(a * x + b, 0.0, 1.0),
    "tanh": lambda x, a, b, c: a * np.tanh(b * x),
    "absolute": lambda x, a, b, c: np.abs(x),
    "softplus": lambda x, a, b, c: a * np.logaddexp(0.0, b * x),
    "softsign": lambda x, a, b, c: x / (1 + np.abs(x)),
    "elu": lambda x, a, b, c: np.where(x < 0, a * np.expm1(x), x),
    "relun": lambda x, a, b, c: np.minimum(_relu(x, a, b, c), b),
    "power": _power,
    "exponential": _exponential,
    "logarithm": _logarithm,
    "gelu": _gelu,
    "hard_swish": _hard_swish,
    "swish": _swish,
    "mish": _mish,
    "gelu_tanh": _gelu_tanh,
    "clamp": lambda x, a, b, c: np.clip(x, a, b),
    "sign": lambda x, a, b, c: np.sign(x),
    "floor": lambda x, a, b, c: np.floor(x),
    "ceil": lambda x, a, b, c: np.ceil(x),
    "round": lambda x, a, b, c: np.rint(x),
    "erf": lambda x, a, b, c: _erf(x),
}
