"""Convert Caffe's elementwise layers."""

from __future__ import annotations

import math

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import Handler, blob, convert_to_op, number, only_input
from mpscnn.converters.onnx_graph.blocks import compare
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.errors import WeightsError


def _relu(b: Builder, layer: CaffeLayer) -> str:
    slope = number(layer.parameters, "negative_slope", 0.0)
    return (
        b.op("LeakyRelu", only_input(b, layer), alpha=slope) if slope else b.op("Relu", only_input(b, layer))
    )


def _clip(b: Builder, layer: CaffeLayer) -> str:
    p = layer.parameters
    return b.op("Clip", only_input(b, layer), number(p, "min", 0.0), number(p, "max", 6.0))


def _prelu(b: Builder, layer: CaffeLayer) -> str:
    x = only_input(b, layer)
    return b.op("PRelu", x, b.weight("slope", blob(layer, 0, "slopes").reshaped(-1, *[1] * (b.rank(x) - 2))))


def _scaled(b: Builder, layer: CaffeLayer, factor: float = 1.0) -> str:
    p = layer.parameters
    return b.linear(only_input(b, layer), number(p, "scale", 1.0) * factor, number(p, "shift", 0.0) * factor)


def _power(b: Builder, layer: CaffeLayer) -> str:
    """Convert Power: (shift + scale * x)^power."""
    x, power = _scaled(b, layer), number(layer.parameters, "power", 1.0)
    return b.op("Identity", x) if power == 1.0 else b.op("Pow", x, power)


def _natural(layer: CaffeLayer) -> float:
    """Return the natural logarithm of a layer's base."""
    base = number(layer.parameters, "base", -1.0)
    if base != -1.0 and (base <= 0.0 or base == 1.0):
        raise WeightsError(f"damaged: its base is {base}")
    return 1.0 if base == -1.0 else math.log(base)


def _threshold(b: Builder, layer: CaffeLayer) -> str:
    """Convert Threshold: 1 where x is greater than the threshold, otherwise 0."""
    return compare(b, "Greater", only_input(b, layer), number(layer.parameters, "threshold", 0.0))


def _swish(b: Builder, layer: CaffeLayer) -> str:
    """Convert Swish: x * sigmoid(beta * x)."""
    return b.op("Swish", only_input(b, layer), alpha=number(layer.parameters, "beta", 1.0))


ELEMENTWISE: dict[str, Handler] = {
    "AbsVal": convert_to_op("Abs"),
    "BNLL": convert_to_op("Softplus"),
    "Clip": _clip,
    "ELU": lambda b, layer: b.op("Elu", only_input(b, layer), alpha=number(layer.parameters, "alpha", 1.0)),
    # base^(shift + scale * x). A base of -1 means e.
    "Exp": lambda b, layer: b.op("Exp", _scaled(b, layer, _natural(layer))),
    # The logarithm of shift + scale * x to a base.
    "Log": lambda b, layer: b.linear(b.op("Log", _scaled(b, layer)), 1.0 / _natural(layer), 0.0),
    "PReLU": _prelu,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": lambda b, layer: b.op("Clip", only_input(b, layer), 0.0, 6.0),
    "Sigmoid": convert_to_op("Sigmoid"),
    "Swish": _swish,
    "TanH": convert_to_op("Tanh"),
    "Threshold": _threshold,
}
