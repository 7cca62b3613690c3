"""Convert elementwise functions, each to a layer."""

from __future__ import annotations

import math

import numpy as np

from mpscnn._private.literals import ActivationName
from mpscnn.converters.constant import Constant
from mpscnn.converters.layout import in_memory_order
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row, either
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value
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


def _clip_constant(o: Operands) -> Value:
    x = o.given(0)
    for operation, name, place in (("maximum", "min", 1), ("minimum", "max", 2)):
        limit = o.optional(place)
        if o.node.has(name):
            limit = Constant.of(np.asarray(o.node.number(name), x.low.dtype), o.budget)
        x = x if limit is None else x.combine(operation, limit)
    return x


def _clip_tensor(c: Context, node: Node) -> FileTensor:
    """Convert Clip. Limits that the network computes are those of a maximum and of a minimum."""
    ends = {"maximum": node.input(1), "minimum": node.input(2)}
    computed = {method: name for method, name in ends.items() if name is not None and not c.is_constant(name)}
    if c.file.opset < 11 or not computed:
        return c.x(node).map(clipping(*limits(c, node)))
    x = c.x(node, whole_numbers=True)
    given = [(method, name) for method, name in ends.items() if name is not None]
    for method, name in given:
        is_last = method == given[-1][0]
        x = x.combine(method, c.tensor(name, whole_numbers=True), "" if is_last else "/low")
    return x


def _plain(o: Operands) -> Value:
    function = _activation(o.node)
    if function is None:
        raise UnsupportedError("with these attributes it is not supported")
    return o.x().map(function)


# ---- Limits --------------------------------------------------------------------------------------------------------


def limits(c: Context, node: Node) -> tuple[float, float]:
    """Return the limits of Clip: attributes up to opset 10, then inputs."""
    if c.file.opset < 11:
        return node.number("min", -_LARGEST), node.number("max", _LARGEST)
    low, high = node.input(1), node.input(2)
    return (
        -math.inf if low is None else c.constants.number(low, "its lower limit"),
        math.inf if high is None else c.constants.number(high, "its upper limit"),
    )


def clipping(low: float, high: float) -> Activation:
    """Return the activation that clips to a range. The lowest and the largest float32 mean no limit."""
    if low > high:  # the upper limit is applied last
        return clipping(high, high)
    if low == math.inf or high == -math.inf:
        raise UnsupportedError(f"its limits are {low} and {high}: nothing but an infinity is within")
    if low == 0.0 < high:
        return "relu" if high >= _LARGEST else {"kind": "relun", "a": 0.0, "b": high}
    if math.isnan(low) or math.isnan(high):
        raise UnsupportedError(f"its limits are {low} and {high}")
    return {"kind": "clamp", "a": max(low, -_LARGEST), "b": min(high, _LARGEST)}


# ---- Others --------------------------------------------------------------------------------------------------------


def _prelu_of_constant(o: Operands) -> Value:
    return o.given(0).elementwise(
        lambda x, slope: np.where(x > 0, x, x * slope).astype(x.dtype, copy=False), o.given(1)
    )


def _prelu(c: Context, node: Node) -> FileTensor:
    x = c.x(node)
    slope = c.constants.real(node.input(1), "its slopes")
    if slope.size == 1 and not c.learns(node.inputs[1]):
        return x.map({"kind": "relu", "a": float(slope.reshape(-1)[0])})
    extents = (1,) * (x.rank - slope.ndim) + slope.shape
    if x.rank > 1 and len(extents) == x.rank and slope.size == extents[1] == x.shape[1]:
        tensor, rest, channels = c.arranger.channels_last(x, x.axes[1])
        name = c.layer_name(node)
        y = c.network.activation(tensor, "prelu", name=name)
        c.set_weight(name, "slope", in_memory_order(slope.reshape(-1), x.axes[1], channels), node.inputs[1])
        return x.with_tensor(y, rest + channels)
    # The result is max(x, 0) + slopes * min(x, 0).
    slopes = c.constant(node.inputs[1], x.rank, what="its slopes")
    if any(extent not in (1, own) for extent, own in zip(slopes.shape[1:], x.shape[1:], strict=True)):
        raise UnsupportedError(f"slopes of shape {slope.shape} for {x.shown}, which do not fit")
    positive = x.map("relu", "/positive")
    negative = x.map({"kind": "clamp", "a": -_LARGEST, "b": 0.0}, "/negative")
    return positive + negative.combine("multiply", slopes, "/scaled")


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


def _cast_of_floats(c: Context, node: Node) -> FileTensor:
    return c.x(node).map({"kind": "none"})


NEURONS: dict[str, Row] = {
    **dict.fromkeys(PLAIN, _plain),
    "Celu": _celu,
    "Clip": either(_clip_constant, _clip_tensor),
    "PRelu": either(_prelu_of_constant, _prelu),
    "Reciprocal": lambda o: o.x().reciprocal(),
    "Selu": _selu,
    "Sqrt": lambda o: o.x().sqrt(),
}
"""The functions of operators that serve constants and tensors of the network alike."""

ROUNDINGS: dict[str, Handler] = {CAST_OF_FLOATS: _cast_of_floats}
