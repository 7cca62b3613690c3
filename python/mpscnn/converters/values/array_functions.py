"""Compute functions of arrays: activations, arithmetic, comparisons and reductions, for constants of a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mpscnn.converters.values.constant_pair import Array
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation, activation_attributes

_erf = np.vectorize(math.erf, otypes=[np.float32])


def _sigmoid(x: Array) -> Array:
    power = np.exp(x)
    return np.where(x > 0, 1.0 / (1.0 + np.exp(-x)), power / (1.0 + power))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x.dtype.type(0), x))


_PLAIN: dict[str, Callable[[Array], Array]] = {
    "absolute": np.absolute,
    "ceil": np.ceil,
    "erf": _erf,
    "exponential": np.exp,
    "floor": np.floor,
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x: np.asarray(
        0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    ),
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


# ---- Arithmetic and reductions --------------------------------------------------------------------------------------


def _divide(a: Array, b: Array) -> Array:
    """Return a / b. The quotients of integers lose their fraction, as in C."""
    if a.dtype.kind not in "iu":
        return np.asarray(np.divide(a, b))
    quotient, rest = np.floor_divide(a, b), np.remainder(a, b)
    return np.asarray(quotient + ((rest != 0) & ((a < 0) ^ (b < 0))).astype(quotient.dtype))


def exact(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that refuses divisions of integers by 0, and results of more than 64 bits."""

    def compute(*arrays: Array, **settings: Any) -> Array:
        if any(one.dtype.kind not in "iu" for one in arrays):
            return function(*arrays, **settings)
        with np.errstate(divide="raise", invalid="raise"):
            try:
                about = function(*(one.astype(np.float64) for one in arrays), **settings)
            except FloatingPointError:
                raise WeightsError("damaged: divides by 0") from None
        if arrays[0].dtype.kind == "i" and (np.abs(about) >= _BEYOND).any():
            raise WeightsError("damaged: computes a whole number of more than 64 bits")
        return function(*arrays, **settings)

    return compute


_BEYOND = float(1 << 63)

ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": _divide,
    "floor_divide": np.floor_divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": lambda a, b: np.asarray(np.power(a, b)).astype(a.dtype, copy=False),
}
"""The operations of two operands, by the names of methods of `Network`."""

COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
}
"""The operations whose results are truth values."""

REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": lambda x, **over: np.sum(x, dtype=x.dtype, **over),
    "mean": lambda x, **over: np.mean(x, dtype=x.dtype, **over),
    "product": lambda x, **over: np.prod(x, dtype=x.dtype, **over),
    "max": lambda x, **over: np.max(x, **over, **({} if x.size else {"initial": _lowest(x.dtype)})),
    "min": lambda x, **over: np.min(x, **over, **({} if x.size else {"initial": _highest(x.dtype)})),
    "log_sum": lambda x, **over: np.log(np.sum(x, **over)).astype(x.dtype),
    "log_sum_exp": lambda x, **over: np.log(np.sum(np.exp(x), **over)).astype(x.dtype),
    "sum_of_squares": lambda x, **over: np.sum(np.square(x), dtype=x.dtype, **over),
    "l1_norm": lambda x, **over: np.sum(np.abs(x), **over).astype(x.dtype),
    "l2_norm": lambda x, **over: np.sqrt(np.sum(np.square(x), **over)).astype(x.dtype),
}
"""The reductions by their kinds. They take the arguments of NumPy's reductions."""

SUMS = frozenset({"product", "sum", "sum_of_squares"})
"""The reductions whose results may be large integers."""

SCATTERS: dict[str, np.ufunc] = {
    "add": np.add,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
"""The operations by which new elements are combined with those of an array."""


def _lowest(dtype: np.dtype[Any]) -> Any:
    return False if dtype.kind == "b" else np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _highest(dtype: np.dtype[Any]) -> Any:
    return True if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind in "iu" else np.inf
