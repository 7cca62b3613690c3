"""Write activation functions as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mpscnn.converters.writing.onnx.layer import Layer

Neuron = Mapping[str, Any]


def activation(layer: Layer, x: str, neuron: Neuron) -> str:
    """Apply an activation to a layer's result and return the name of its result."""
    return _FUNCTIONS[neuron["kind"]](layer, x, neuron)


def _scaled(layer: Layer, x: str, factor: float, role: str) -> str:
    return x if factor == 1 else layer.add("Mul", x, layer.constant([float(factor)], role))


def _linear(layer: Layer, x: str, neuron: Neuron) -> str:
    """Write a * x + b. Nodes that change nothing are left out, because a reader would make layers of them."""
    if neuron["a"] == -1 and neuron["b"] != 0:
        return layer.add("Sub", layer.constant([float(neuron["b"])], "b"), x)
    scaled = _scaled(layer, x, neuron["a"], "a")
    return scaled if neuron["b"] == 0 else layer.add("Add", scaled, layer.constant([float(neuron["b"])], "b"))


def _rectified(layer: Layer, x: str, neuron: Neuron) -> str:
    return layer.add("Relu", x) if neuron["a"] == 0 else layer.add("LeakyRelu", x, alpha=float(neuron["a"]))


def _limited(layer: Layer, x: str, neuron: Neuron) -> str:
    limit = float(neuron["b"])
    if neuron["a"] == 0 and limit >= 0:
        return layer.add("Clip", x, layer.constant(0.0, "low"), layer.constant(limit, "high"))
    return layer.add("Min", _rectified(layer, x, neuron), layer.constant([limit], "b"))


def _plain(operation: str) -> Callable[[Layer, str, Neuron], str]:
    return lambda layer, x, _: layer.add(operation, x)


def _scaled_function(operation: str) -> Callable[[Layer, str, Neuron], str]:
    """Return a function that writes a * operation(b * x)."""

    def export(layer: Layer, x: str, neuron: Neuron) -> str:
        return _scaled(layer, layer.add(operation, _scaled(layer, x, neuron["b"], "b")), neuron["a"], "a")

    return export


def _linear_neuron(layer: Layer, x: str, neuron: Neuron) -> str:
    result = _linear(layer, x, neuron)
    return layer.add("Identity", x) if result == x else result


def _power(layer: Layer, x: str, neuron: Neuron) -> str:
    """Write (a * x + b)^c as Pow, also for c = 0.5: Sqrt of minus infinity is NaN, but its power is infinity."""
    base = _linear(layer, x, neuron)
    return layer.add("Pow", base, layer.constant([float(neuron["c"])], "c"))


def _logarithm_of_base(neuron: Neuron) -> float:
    return 1.0 if neuron["c"] == -1 else math.log(neuron["c"])


def _gelu(layer: Layer, x: str, _neuron: Neuron) -> str:
    erf = layer.add("Erf", _scaled(layer, x, math.sqrt(0.5), "scale"))
    product = layer.add("Mul", x, layer.add("Add", erf, layer.constant([1.0], "one")))
    return _scaled(layer, product, 0.5, "half")


def _gelu_tanh(layer: Layer, x: str, _neuron: Neuron) -> str:
    cube = layer.add("Mul", layer.add("Mul", x, x), _scaled(layer, x, 0.044715, "cubic"))
    argument = _scaled(layer, layer.add("Add", x, cube), math.sqrt(2 / math.pi), "scale")
    sum_with_one = layer.add("Add", layer.add("Tanh", argument), layer.constant([1.0], "one"))
    return _scaled(layer, layer.add("Mul", x, sum_with_one), 0.5, "half")


def _clamp(layer: Layer, x: str, neuron: Neuron) -> str:
    low, high = (layer.constant(float(neuron[name]), name) for name in "ab")
    return layer.add("Clip", x, low, high)


_FUNCTIONS: dict[str, Callable[[Layer, str, Neuron], str]] = {
    "none": _plain("Identity"),
    "relu": _rectified,
    "linear": _linear_neuron,
    "sigmoid": _plain("Sigmoid"),
    "hard_sigmoid": lambda layer, x, neuron: layer.add(
        "HardSigmoid", x, alpha=float(neuron["a"]), beta=float(neuron["b"])
    ),
    "tanh": _scaled_function("Tanh"),
    "absolute": _plain("Abs"),
    "softplus": _scaled_function("Softplus"),
    "softsign": _plain("Softsign"),
    "elu": lambda layer, x, neuron: layer.add("Elu", x, alpha=float(neuron["a"])),
    "prelu": lambda layer, x, _neuron: layer.add(
        "PRelu", x, layer.constant(layer.per_channel(layer.required("slope")), "slope")
    ),
    "relun": _limited,
    "power": _power,
    "exponential": lambda layer, x, neuron: layer.add(
        "Exp", _scaled(layer, _linear(layer, x, neuron), _logarithm_of_base(neuron), "c")
    ),
    "logarithm": lambda layer, x, neuron: _scaled(
        layer, layer.add("Log", _linear(layer, x, neuron)), 1 / _logarithm_of_base(neuron), "c"
    ),
    "gelu": _gelu,
    "hard_swish": _plain("HardSwish"),
    "swish": lambda layer, x, neuron: layer.add(
        "Mul", x, layer.add("Sigmoid", _scaled(layer, x, neuron["b"], "b"))
    ),
    "mish": lambda layer, x, _neuron: layer.add("Mul", x, layer.add("Tanh", layer.add("Softplus", x))),
    "gelu_tanh": _gelu_tanh,
    "clamp": _clamp,
    "sign": _plain("Sign"),
    "floor": _plain("Floor"),
    "ceil": _plain("Ceil"),
    "round": _plain("Round"),
    "erf": _plain("Erf"),
}
