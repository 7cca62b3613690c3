"""Write activation functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import FUSED_LIMITS, LARGEST, Layer, Neuron
from mpscnn.errors import UnsupportedError

Function = Callable[[Layer, Value, Neuron], Value]


def activation(layer: Layer, x: Value, neuron: Neuron) -> Value:
    """Apply an activation to a value."""
    return _FUNCTIONS[neuron["kind"]](layer, x, neuron)


def neuron(layer: Layer) -> Value:
    """Write an activation that is a layer of its own."""
    return activation(layer, layer.inputs[0], layer.attributes)


def _binary(layer: Layer, kind: str, x: Value, y: Value) -> Value:
    options: dict[str, Any] = {} if kind in ("MAXIMUM", "MINIMUM", "POW") else {"activation": "NONE"}
    return layer.add(kind, x, y, like=x, **options)


def _with_number(layer: Layer, kind: str, x: Value, number: float, role: str) -> Value:
    return _binary(layer, kind, x, layer.number(number, role, like=x))


def _scaled(layer: Layer, x: Value, factor: float, role: str) -> Value:
    return x if factor == 1 else _with_number(layer, "MUL", x, factor, role)


def _linear(layer: Layer, x: Value, neuron: Neuron) -> Value:
    """Write a * x + b. Operators that change nothing are left out, because a reader would make layers of them."""
    if neuron["a"] == -1:
        if neuron["b"] == 0:
            return layer.add("NEG", x, like=x)
        return layer.add("SUB", layer.number(neuron["b"], "b"), x, like=x, activation="NONE")
    scaled = _scaled(layer, x, neuron["a"], "a")
    return scaled if neuron["b"] == 0 else _with_number(layer, "ADD", scaled, neuron["b"], "b")


def _plain(kind: str) -> Function:
    return lambda layer, x, _: layer.add(kind, x, like=x)


def _rectified(layer: Layer, x: Value, neuron: Neuron) -> Value:
    if neuron["a"] == 0:
        return layer.add("RELU", x, like=x)
    return layer.add("LEAKY_RELU", x, like=x, slope=neuron["a"])


def _limited(layer: Layer, x: Value, neuron: Neuron) -> Value:
    if (neuron["a"], neuron["b"]) == (0, 6):
        return layer.add("RELU6", x, like=x)
    return _with_number(layer, "MINIMUM", _rectified(layer, x, neuron), neuron["b"], "limit")


def _clamp(layer: Layer, x: Value, neuron: Neuron) -> Value:
    low, high = neuron["a"], neuron["b"]
    if (low, high) in FUSED_LIMITS:
        return layer.add(FUSED_LIMITS[low, high], x, like=x)
    if low > -LARGEST:
        x = _with_number(layer, "MAXIMUM", x, low, "low")
    return x if high >= LARGEST else _with_number(layer, "MINIMUM", x, high, "high")


def _scaled_function(function: Function) -> Function:
    """Return a function that writes a * function(b * x)."""

    def write(layer: Layer, x: Value, neuron: Neuron) -> Value:
        return _scaled(layer, function(layer, _scaled(layer, x, neuron["b"], "b"), neuron), neuron["a"], "a")

    return write


def _softplus(layer: Layer, x: Value, _neuron: Neuron) -> Value:
    """Write max(x, 0) + log(1 + exp(-|x|)), whose exponential is never above 1."""
    size = layer.add("NEG", layer.add("ABS", x, like=x), like=x)
    rest = _with_number(layer, "ADD", layer.add("EXP", size, like=x), 1.0, "one")
    return _binary(layer, "ADD", layer.add("RELU", x, like=x), layer.add("LOG", rest, like=x))


def _elu(layer: Layer, x: Value, neuron: Neuron) -> Value:
    if neuron["a"] == 1:
        return layer.add("ELU", x, like=x)
    below = layer.add("ELU", _with_number(layer, "MINIMUM", x, 0.0, "zero"), like=x)
    return _binary(layer, "ADD", layer.add("RELU", x, like=x), _scaled(layer, below, neuron["a"], "a"))


def _prelu(layer: Layer, x: Value, _neuron: Neuron) -> Value:
    slope = layer.required("slope").reshape((1,) * (len(x.shape) - 2) + (-1,))
    return layer.add("PRELU", x, layer.constant(slope, "slope"), like=x)


def _hard_sigmoid(layer: Layer, x: Value, neuron: Neuron) -> Value:
    if _is_sixth(neuron):
        shifted = layer.add("ADD", x, layer.number(3.0, "three", like=x), like=x, activation="RELU6")
        return _scaled(layer, shifted, 1 / 6, "sixth")
    line = _linear(layer, x, neuron)
    return _with_number(layer, "MINIMUM", layer.add("RELU", line, like=x), 1.0, "one")


def _is_sixth(neuron: Neuron) -> bool:
    """Return True for the hard sigmoid that other programs know, relu6(x + 3) / 6."""
    return bool(abs(neuron["a"] - 1 / 6) < 1e-7 and neuron["b"] == 0.5)


def _power(layer: Layer, x: Value, neuron: Neuron) -> Value:
    base = _linear(layer, x, neuron)
    if neuron["c"] == 2:
        return layer.add("SQUARE", base, like=x)
    return _with_number(layer, "POW", base, neuron["c"], "exponent")


def _log_of_base(neuron: Neuron) -> float:
    return 1.0 if neuron["c"] == -1 else math.log(neuron["c"])


def _gelu(approximates: bool) -> Function:
    return lambda layer, x, _: layer.add("GELU", x, like=x, approximates=approximates)


def _swish(layer: Layer, x: Value, neuron: Neuron) -> Value:
    gate = layer.add("LOGISTIC", _scaled(layer, x, neuron["b"], "b"), like=x)
    return _binary(layer, "MUL", x, gate)


def _error_function(layer: Layer, _x: Value, _neuron: Neuron) -> Value:
    raise UnsupportedError(
        f"layer {layer.name!r}: TensorFlow Lite has no error function (erf); write .onnx or .mlpackage, or use gelu"
    )


_FUNCTIONS: dict[str, Function] = {
    "none": lambda _layer, x, _neuron: x,
    "relu": _rectified,
    "linear": _linear,
    "sigmoid": _plain("LOGISTIC"),
    "hard_sigmoid": _hard_sigmoid,
    "tanh": _scaled_function(_plain("TANH")),
    "absolute": _plain("ABS"),
    "softplus": _scaled_function(_softplus),
    "softsign": lambda layer, x, _neuron: _binary(
        layer, "DIV", x, _with_number(layer, "ADD", layer.add("ABS", x, like=x), 1.0, "one")
    ),
    "elu": _elu,
    "prelu": _prelu,
    "relun": _limited,
    "power": _power,
    "exponential": lambda layer, x, neuron: layer.add(
        "EXP", _scaled(layer, _linear(layer, x, neuron), _log_of_base(neuron), "base"), like=x
    ),
    "logarithm": lambda layer, x, neuron: _scaled(
        layer, layer.add("LOG", _linear(layer, x, neuron), like=x), 1 / _log_of_base(neuron), "base"
    ),
    "gelu": _gelu(False),
    "hard_swish": _plain("HARD_SWISH"),
    "swish": _swish,
    "mish": lambda layer, x, neuron: _binary(
        layer, "MUL", x, layer.add("TANH", _softplus(layer, x, neuron), like=x)
    ),
    "gelu_tanh": _gelu(True),
    "clamp": _clamp,
    "sign": _plain("SIGN"),
    "floor": _plain("FLOOR"),
    "ceil": _plain("CEIL"),
    "round": _plain("ROUND"),
    "erf": _error_function,
}
