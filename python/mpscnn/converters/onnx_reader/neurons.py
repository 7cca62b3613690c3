"""Convert elementwise functions, each to a layer."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.literals import ActivationName
from mpscnn.converters.constant import Constant
from mpscnn.converters.layout import in_memory_order
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value
from mpscnn.converters.with_number import clipping
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

CAST_OF_FLOATS = "mpscnn.Cast"
"""An operator that ONNX lacks: it copies a tensor between layers in float16 and layers kept in float32."""

_FUNCTIONS: dict[str, Activation] = {
    "Abs": "absolute",
    "Ceil": "ceil",
    "Erf": "erf",
    "Exp": "exponential",
    "Floor": "floor",
    "HardSwish": "hard_swish",
    "Log": "logarithm",
    "Mish": "mish",
    "Neg": {"kind": "linear", "a": -1.0},
    "Relu": "relu",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
PLAIN = frozenset({*_FUNCTIONS, "LeakyRelu", "Elu", "HardSigmoid", "Gelu", "Clip", "Swish"})
"""The operators that are one activation."""
_LARGEST = float(np.finfo(np.float32).max)


def _activation(node: Node) -> Activation:
    """Return the activation that a node computes; None for attributes that are not supported."""
    if node.kind in _FUNCTIONS:
        return _FUNCTIONS[node.kind]
    if node.kind == "LeakyRelu":
        return {"kind": "relu", "a": node.number("alpha", 0.01)}
    if node.kind == "Elu":
        return {"kind": "elu", "a": node.number("alpha", 1.0)}
    if node.kind == "HardSigmoid":
        return {"kind": "hard_sigmoid", "a": node.number("alpha", 0.2), "b": node.number("beta", 0.5)}
    if node.kind == "Gelu":
        kinds: dict[str, ActivationName] = {"none": "gelu", "tanh": "gelu_tanh"}
        return kinds.get(node.text("approximate", "none"))
    if node.kind == "Swish":
        return {"kind": "swish", "b": node.number("alpha", 1.0)}
    return None


def _clip(o: Operands) -> Value:
    """Convert Clip. Constant limits of a tensor are an activation, others those of a maximum and of a minimum."""
    computed = not o.are_constants and any(name and not o.c.is_constant(name) for name in o.node.inputs[1:3])
    if not (o.are_constants or computed):
        return o.x().map(clipping(*_limits(o)))
    x = o.x(whole_numbers=True)
    limits = [("maximum", _limit(o, x, "min", 1)), ("minimum", _limit(o, x, "max", 2))]
    given = [(operation, limit) for operation, limit in limits if limit is not None]
    for place, (operation, limit) in enumerate(given, start=1):
        x = x.combine(operation, limit, "" if place == len(given) else "/low")
    return x


def _limit(o: Operands, x: Value, name: str, place: int) -> Value | None:
    """Return a limit of Clip: an attribute up to opset 10, later an operand; None if it is left out."""
    if isinstance(x, Constant) and o.node.has(name):
        return Constant.of(np.asarray(o.node.number(name), x.low.dtype), o.budget)
    return None if o.node.input(place) is None else o.common(place, whole_numbers=True)


def _plain(o: Operands) -> Value:
    function = _activation(o.node)
    if function is None:
        raise UnsupportedError("with these attributes it is not supported")
    return o.x().map(function)


# ---- Limits --------------------------------------------------------------------------------------------------------


def _limits(o: Operands) -> tuple[float, float]:
    """Return constant limits of Clip: attributes up to opset 10, then operands."""
    if o.stored.opset < 11:
        return o.node.number("min", -_LARGEST), o.node.number("max", _LARGEST)
    low, high = o.optional(1), o.optional(2)
    return (
        -math.inf if low is None else low.number("its lower limit"),
        math.inf if high is None else high.number("its upper limit"),
    )


# ---- Others --------------------------------------------------------------------------------------------------------


def _prelu(o: Operands) -> Value:
    """Convert PRelu to a layer with a slope for each channel, or else to max(x, 0) + slopes * min(x, 0)."""
    x = o.x()
    slopes: Value = o.constant(1, "its slopes")
    if isinstance(x, FileTensor):
        numbers = o.constant(1, "its slopes").real("its slopes")
        if (made := _with_slopes(o.c, o.node, x, numbers)) is not None:
            return made
        slopes = _slopes(o.c, o.node, x, numbers)
    positive = x.map("relu", "/positive")
    negative = x.map({"kind": "clamp", "a": -_LARGEST, "b": 0.0}, "/negative")
    return positive.combine("add", negative.combine("multiply", slopes, "/scaled"))


def _with_slopes(c: Context, node: Node, x: FileTensor, slope: NDArray[np.float32]) -> FileTensor | None:
    """Convert PRelu with one slope, or one for each channel; None for other slopes."""
    if slope.size == 1 and not c.learns(node.inputs[1]):
        return x.map({"kind": "relu", "a": float(slope.reshape(-1)[0])})
    extents = (1,) * (x.rank - slope.ndim) + slope.shape
    if not (x.rank > 1 and len(extents) == x.rank and slope.size == extents[1] == x.shape[1]):
        return None
    tensor, rest, channels = c.arranger.channels_last(x, x.axes[1])
    name = c.layer_name(node)
    y = c.network.activation(tensor, "prelu", name=name)
    c.set_weight(name, "slope", in_memory_order(slope.reshape(-1), x.axes[1], channels), node.inputs[1])
    return x.with_tensor(y, rest + channels)


def _slopes(c: Context, node: Node, x: FileTensor, slope: NDArray[np.float32]) -> FileTensor:
    """Return the slopes as a tensor that broadcasts to x."""
    slopes = c.constant(node.inputs[1], x.rank, what="its slopes")
    if any(extent not in (1, own) for extent, own in zip(slopes.shape[1:], x.shape[1:], strict=True)):
        raise UnsupportedError(f"slopes of shape {slope.shape} for {x.shown}, which do not fit")
    return slopes


def _celu(o: Operands) -> Value:
    """Convert CELU: alpha * elu(x / alpha)."""
    alpha = o.node.number("alpha", 1.0)
    if alpha <= 0.0:
        raise UnsupportedError(f"its alpha is {alpha}; only numbers above 0 are supported")
    return o.x().linear(1.0 / alpha, suffix="/divided").map("elu", "/elu").linear(alpha)


def _selu(o: Operands) -> Value:
    """Convert SELU: gamma * elu(x)."""
    alpha, gamma = o.node.number("alpha", 1.6732632423543772), o.node.number("gamma", 1.0507009873554805)
    return o.x().map({"kind": "elu", "a": alpha}, "/elu").linear(gamma)


NEURONS: dict[str, Row] = {
    **dict.fromkeys(PLAIN, _plain),
    "Celu": _celu,
    "Clip": _clip,
    "PRelu": _prelu,
    "Reciprocal": lambda o: o.x().reciprocal(),
    "Selu": _selu,
    "Sqrt": lambda o: o.x().sqrt(),
}
"""The functions of operators that serve constants and tensors of the network alike."""

ROUNDINGS: dict[str, Handler] = {CAST_OF_FLOATS: lambda c, node: c.x(node).map({"kind": "none"})}
