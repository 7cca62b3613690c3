"""Caffe's functions of each element."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import (
    FLOAT,
    Handler,
    blob,
    number,
    simple,
    single,
)
from mpscnn.converters.onnx_graph import Graph
from mpscnn.errors import WeightsError


def _relu(g: Graph, layer: CaffeLayer) -> None:
    slope = number(layer.parameters, "negative_slope", 0.0)
    (simple("LeakyRelu", alpha=slope) if slope else simple("Relu"))(g, layer)


def _elu(g: Graph, layer: CaffeLayer) -> None:
    simple("Elu", alpha=number(layer.parameters, "alpha", 1.0))(g, layer)


def _clip(g: Graph, layer: CaffeLayer, low: float | None = None, high: float | None = None) -> None:
    x, shape = single(g, layer)
    limits = (low, high)
    if low is None or high is None:
        limits = number(layer.parameters, "min", 0.0), number(layer.parameters, "max", 6.0)
    operands = [g.constant(f"{layer.name}/limit", np.float32(limit)) for limit in limits]
    g.node("Clip", layer.name, [x, *operands], [g.result(layer.tops[0], shape)])


def _relu6(g: Graph, layer: CaffeLayer) -> None:
    _clip(g, layer, 0.0, 6.0)


def _prelu(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    behind = 2 if shape is None else len(shape) - 2
    slope = blob(layer, 0, "slopes").reshaped(-1, *[1] * behind)
    operand = g.constant(f"{layer.name}/slope", slope)
    g.node("PRelu", layer.name, [x, operand], [g.result(layer.tops[0], shape)])


class _Chain:
    """Operators one after the other, of which the last one is the layer's result."""

    def __init__(self, g: Graph, layer: CaffeLayer) -> None:
        self._g, self._layer = g, layer
        self.tensor, self._shape = single(g, layer)
        self._steps: list[tuple[str, float | None]] = []

    def then(self, kind: str, operand: float | None = None) -> _Chain:
        """Another step; those that change nothing are left out."""
        if (kind, operand) not in (("Mul", 1.0), ("Add", 0.0), ("Pow", 1.0)):
            self._steps.append((kind, operand))
        return self

    def end(self) -> None:
        """Add the operators."""
        steps = self._steps or [("Identity", None)]
        for place, (kind, operand) in enumerate(steps):
            name = self._layer.name if place == len(steps) - 1 else f"{self._layer.name}/{kind.lower()}"
            inputs = [self.tensor]
            if operand is not None:
                inputs.append(self._g.constant(f"{name}/operand", np.float32(operand)))
            last = place == len(steps) - 1
            top = self._layer.tops[0]
            made = self._g.result(top, self._shape) if last else self._g.between(name, self._shape)
            self._g.node(kind, name, inputs, [made])
            self.tensor = made


def _scaled(g: Graph, layer: CaffeLayer, factor: float = 1.0) -> _Chain:
    p = layer.parameters
    chain = _Chain(g, layer)
    chain.then("Mul", number(p, "scale", 1.0) * factor)
    return chain.then("Add", number(p, "shift", 0.0) * factor)


def _power(g: Graph, layer: CaffeLayer) -> None:
    """(shift + scale * x)^power."""
    _scaled(g, layer).then("Pow", number(layer.parameters, "power", 1.0)).end()


def _exponential(g: Graph, layer: CaffeLayer) -> None:
    """base^(shift + scale * x); -1 stands for e."""
    _scaled(g, layer, _natural(layer)).then("Exp").end()


def _logarithm(g: Graph, layer: CaffeLayer) -> None:
    """log_base(shift + scale * x)."""
    _scaled(g, layer).then("Log").then("Mul", 1.0 / _natural(layer)).end()


def _natural(layer: CaffeLayer) -> float:
    """ln(base)."""
    base = number(layer.parameters, "base", -1.0)
    if base != -1.0 and (base <= 0.0 or base == 1.0):
        raise WeightsError(f"damaged: its base is {base}")
    return 1.0 if base == -1.0 else math.log(base)


def _threshold(g: Graph, layer: CaffeLayer) -> None:
    """1 where x is greater, else 0."""
    x, shape = single(g, layer)
    limit = g.constant(f"{layer.name}/threshold", np.float32(number(layer.parameters, "threshold", 0.0)))
    above = g.between(f"{layer.name}/above", shape)
    g.node("Greater", f"{layer.name}/above", [x, limit], [above])
    g.node("Cast", layer.name, [above], [g.result(layer.tops[0], shape)], to=FLOAT)


def _swish(g: Graph, layer: CaffeLayer) -> None:
    """x * sigmoid(beta * x)."""
    x, shape = single(g, layer)
    beta, argument = number(layer.parameters, "beta", 1.0), x
    if beta != 1.0:
        argument = g.between(f"{layer.name}/beta", shape)
        operand = g.constant(f"{layer.name}/beta/operand", np.float32(beta))
        g.node("Mul", f"{layer.name}/beta", [x, operand], [argument])
    gate = g.between(f"{layer.name}/gate", shape)
    g.node("Sigmoid", f"{layer.name}/gate", [argument], [gate])
    g.node("Mul", layer.name, [x, gate], [g.result(layer.tops[0], shape)])


ELEMENTS: dict[str, Handler] = {
    "AbsVal": simple("Abs"),
    "BNLL": simple("Softplus"),
    "Clip": _clip,
    "ELU": _elu,
    "Exp": _exponential,
    "Log": _logarithm,
    "PReLU": _prelu,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": _relu6,
    "Sigmoid": simple("Sigmoid"),
    "Swish": _swish,
    "TanH": simple("Tanh"),
    "Threshold": _threshold,
}
