"""Compute activation functions, and their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def neuron(x: Any, attributes: dict[str, Any], slope: Any = None) -> Any:
    """Apply one of the functions of MPSCNNNeuronType."""
    x = np.asarray(x, np.float64)
    kind = attributes.get("kind", "none")
    with np.errstate(all="ignore"):
        if kind == "prelu":
            return np.where(x >= 0, x, x * np.asarray(slope))
        return FUNCTIONS[kind][0](x, *_parameters(attributes))


def neuron_gradient(gradient: Any, x: Any, attributes: dict[str, Any], slope: Any = None) -> Any:
    """Return the gradient of the input. `x` is the neuron's input or, if `from_result` is set, its result."""
    x, gradient = np.asarray(x, np.float64), np.asarray(gradient, np.float64)
    kind = attributes.get("kind", "none")
    with np.errstate(all="ignore"):
        if kind == "prelu":
            return gradient * np.where(x > 0, 1.0, np.asarray(slope, np.float64))
        derivative = FUNCTIONS[kind][2 if attributes.get("from_result") else 1]
        return gradient * derivative(x, *_parameters(attributes))


def _parameters(attributes: dict[str, Any]) -> list[Any]:
    return [np.float64(attributes.get(name, 0.0)) for name in "abc"]


def _relu(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.where(x >= 0, x, a * x if a != 0 else np.where(np.isnan(x), x, 0.0))


def _relun_derivative(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.where(np.where(x > 0, x, a * x) < b, np.where(x > 0, 1.0, a), 0.0)


def _power(x: Any, a: Any, b: Any, c: Any) -> Any:
    base = a * x + b
    # NaN^0 is NaN here, unlike with C's pow. For c = 0.5 numpy computes a square root, which is NaN for -infinity.
    result = np.where(np.isneginf(base), math.pow(-math.inf, c), np.power(base, c))
    if abs(c) == 0.5:  # the root of -0 is -0, as with sqrt
        result = np.where(base == 0.0, base if c > 0.0 else 1.0 / base, result)
    return np.where(np.isnan(base), base, result)


def _power_derivative(x: Any, a: Any, b: Any, c: Any) -> Any:
    return 0.0 * x if c == 0 else a * c * np.power(a * x + b, c - 1)


def _base(c: Any) -> Any:
    """Return the natural logarithm of the base."""
    return 1.0 if c == -1 else np.log(c)


def _exponential(x: Any, a: Any, b: Any, c: Any) -> Any:
    exponent = a * x + b
    power = np.exp(exponent) if c == -1 else np.power(c, exponent)
    return np.where(np.isnan(exponent), exponent, power)


def _gelu(x: Any, a: Any, b: Any, c: Any) -> Any:
    # 1 + erf(z) = erfc(-z), without the cancellation for negative z.
    return x / 2 * _erfc(-x / np.sqrt(2.0))


def _gelu_derivative(x: Any, a: Any, b: Any, c: Any) -> Any:
    return _erfc(-x / np.sqrt(2)) / 2 + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _hard_swish_derivative(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.where(x <= -3, 0.0, np.where(x < 3, x / 3 + 0.5, 1.0))


def _sigmoid(x: Any) -> Any:
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


def _times_sigmoid_derivative(x: Any, t: Any, dt: Any) -> Any:
    """Return the derivative of x * sigmoid(t)."""
    return _sigmoid(t) + x * dt * _sigmoid(t) * _sigmoid(-t)


def _mish(x: Any, a: Any, b: Any, c: Any) -> Any:
    # tanh(ln(1 + z)) = z (z + 2) / (z (z + 2) + 2). tanh and ln themselves would lose digits for small z.
    z = np.exp(np.minimum(x, 300))
    return x * (z * (z + 2) / (z * (z + 2) + 2))


def _mish_derivative(x: Any, a: Any, b: Any, c: Any) -> Any:
    tangent = np.tanh(np.logaddexp(0, x))
    return tangent + x * (1 - tangent**2) * _sigmoid(x)


def _gelu_tanh(x: Any, a: Any, b: Any, c: Any) -> Any:
    # (1 + tanh y) / 2 is the sigmoid of 2 y.
    return x * _sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def _gelu_tanh_derivative(x: Any, a: Any, b: Any, c: Any) -> Any:
    factor = 2 * np.sqrt(2 / np.pi)
    return _times_sigmoid_derivative(x, factor * (x + 0.044715 * x**3), factor * (1 + 3 * 0.044715 * x**2))


def _between(x: Any, low: Any, high: Any) -> Any:
    return np.where((low < x) & (x < high), 1.0, 0.0)


def _no_slope(x: Any, a: Any, b: Any, c: Any) -> Any:
    return 0.0 * x


#: The function, its derivative and, if the result determines it, the derivative as a function of the result.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "none": (lambda x, a, b, c: x, lambda x, a, b, c: np.ones_like(x), lambda y, a, b, c: np.ones_like(y)),
    "relu": (
        _relu,
        lambda x, a, b, c: np.where(x > 0, 1.0, a),
        lambda y, a, b, c: np.where(y > 0, 1.0, a),
    ),
    "linear": (lambda x, a, b, c: a * x + b, lambda x, a, b, c: a + 0 * x, lambda y, a, b, c: a + 0 * y),
    "sigmoid": (
        lambda x, a, b, c: _sigmoid(x),
        lambda x, a, b, c: _sigmoid(x) * _sigmoid(-x),
        lambda y, a, b, c: y * (1 - y),
    ),
    "hard_sigmoid": (
        lambda x, a, b, c: np.clip(a * x + b, 0.0, 1.0),
        lambda x, a, b, c: a * _between(a * x + b, 0, 1),
        lambda y, a, b, c: a * _between(y, 0, 1),
    ),
    "tanh": (
        lambda x, a, b, c: a * np.tanh(b * x),
        lambda x, a, b, c: a * b / np.cosh(b * x) ** 2,
        lambda y, a, b, c: a * b * (1 - (y / a) ** 2),
    ),
    "absolute": (lambda x, a, b, c: np.abs(x), lambda x, a, b, c: np.sign(x)),
    "softplus": (
        lambda x, a, b, c: a * np.logaddexp(0.0, b * x),
        lambda x, a, b, c: a * b * _sigmoid(b * x),
        lambda y, a, b, c: -a * b * np.expm1(-y / a),
    ),
    "softsign": (
        lambda x, a, b, c: x / (1 + np.abs(x)),
        lambda x, a, b, c: 1 / (1 + np.abs(x)) ** 2,
        lambda y, a, b, c: (1 - np.abs(y)) ** 2,
    ),
    "elu": (
        lambda x, a, b, c: np.where(x < 0, a * np.expm1(x), x),
        lambda x, a, b, c: np.where(x > 0, 1.0, a * np.exp(np.minimum(x, 0))),
        lambda y, a, b, c: np.where(y > 0, 1.0, y + a),
    ),
    "relun": (
        lambda x, a, b, c: np.minimum(_relu(x, a, b, c), b),
        _relun_derivative,
        lambda y, a, b, c: np.where(y < b, np.where(y > 0, 1.0, a), 0.0),
    ),
    "power": (_power, _power_derivative),
    "exponential": (
        _exponential,
        lambda x, a, b, c: a * _base(c) * np.exp(_base(c) * (a * x + b)),
        lambda y, a, b, c: a * _base(c) * y,
    ),
    "logarithm": (
        lambda x, a, b, c: np.log(a * x + b) / _base(c),
        lambda x, a, b, c: a / (_base(c) * (a * x + b)),
    ),
    "gelu": (_gelu, _gelu_derivative),
    "hard_swish": (lambda x, a, b, c: x * (np.clip(x + 3, 0, 6) / 6), _hard_swish_derivative),
    "swish": (
        lambda x, a, b, c: x * _sigmoid(b * x),
        lambda x, a, b, c: _times_sigmoid_derivative(x, b * x, b),
    ),
    "mish": (_mish, _mish_derivative),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_derivative),
    "clamp": (
        lambda x, a, b, c: np.clip(x, a, b),
        lambda x, a, b, c: _between(x, a, b),
        lambda y, a, b, c: _between(y, a, b),
    ),
    "sign": (lambda x, a, b, c: np.sign(x), _no_slope),
    "floor": (lambda x, a, b, c: np.floor(x), _no_slope),
    "ceil": (lambda x, a, b, c: np.ceil(x), _no_slope),
    "round": (lambda x, a, b, c: np.rint(x), _no_slope),
    "erf": (lambda x, a, b, c: _erf(x), lambda x, a, b, c: 2 / np.sqrt(np.pi) * np.exp(-(x**2))),
}
