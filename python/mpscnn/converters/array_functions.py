"""Compute the activations of layers on arrays."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mpscnn.converters.constant_pair import Array
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation, activation_attributes

_erf = np.vectorize(math.erf, otypes=[np.float32])


def _sigmoid(x: Array) -> Array:
    power = np.exp(x)
    return np.where(x > 0, 1.0 / (1.0 + np.exp(-x)), power / (1.0 + power))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x.dtype.type(0), x))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))))


_PLAIN: dict[str, Callable[[Array], Array]] = {
    "absolute": np.absolute,
    "ceil": np.ceil,
    "erf": _erf,
    "exponential": np.exp,
    "floor": np.floor,
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "gelu_tanh": _gelu_tanh,
    "hard_swish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "logarithm": np.log,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "round": np.round,
    "sigmoid": _sigmoid,
    "sign": np.sign,
    "softplus": _softplus,
    "softsign": lambda x: x / (1.0 + np.absolute(x)),
    "tanh": np.tanh,
}


def _linear(x: Array, factor: float, offset: float) -> Array:
    scaled = x * x.dtype.type(factor)  # integers stay exact
    return np.asarray(scaled + x.dtype.type(offset) if offset else scaled)


_WITH_NUMBERS: dict[str, Callable[[Array, float, float], Array]] = {
    "clamp": np.clip,
    "elu": lambda x, a, _: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
    "hard_sigmoid": lambda x, a, b: np.clip(a * x + b, 0.0, 1.0),
    "linear": _linear,
    "relu": lambda x, a, _: np.where(x > 0, x, a * x) if a else np.maximum(x, 0),
    "swish": lambda x, _, b: x * _sigmoid(b * x),
}
"""The activations with the numbers a and b, by kind."""


def array_function(activation: Activation) -> Callable[[Array], Array]:
    """Return the function of arrays that computes an activation.

    Raises UnsupportedError for an activation that is not supported.
    """
    settings = activation_attributes(activation) or {"kind": "linear", "a": 1.0}
    kind, a, b = settings["kind"], settings.get("a", 0.0), settings.get("b", 0.0)
    if kind in _WITH_NUMBERS:
        return lambda x: _WITH_NUMBERS[kind](x, a, b)
    if kind not in _PLAIN:
        raise UnsupportedError(f"computes {kind} of a constant, which is not supported")
    return _PLAIN[kind]
