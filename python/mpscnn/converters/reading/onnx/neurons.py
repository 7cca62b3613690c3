"""Convert elementwise functions, each to a layer."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.expansions import CAST_OF_FLOATS
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Computed, Given, Opset, X
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.layout import in_memory_order
from mpscnn.converters.values.rows import Name, Operand, Row, Stated
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.converters.values.with_number import clipping
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

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
_LARGEST = float(np.finfo(np.float32).max)
_LIMITS_ARE_OPERANDS = 11  # the first opset in which the limits of Clip are operands


def _plain(function: Activation) -> Row:
    """Return the row of a function without settings."""

    def row(x: X) -> Value:
        return x.map(function)

    return row


def _leaky_relu(x: X, *, alpha: float = 0.01) -> Value:
    return x.map({"kind": "relu", "a": alpha})


def _elu(x: X, *, alpha: float = 1.0) -> Value:
    return x.map({"kind": "elu", "a": alpha})


def _hard_sigmoid(x: X, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    return x.map({"kind": "hard_sigmoid", "a": alpha, "b": beta})


def _gelu(x: X, *, approximate: Literal["none", "tanh"] = "none") -> Value:
    return x.map("gelu_tanh" if approximate == "tanh" else "gelu")


def _swish(x: X, *, alpha: float = 1.0) -> Value:
    return x.map({"kind": "swish", "b": alpha})


# ---- Limits --------------------------------------------------------------------------------------------------------


def _clip_constant(
    budget: Budget, x: Given, low: Given | None = None, high: Given | None = None,
    *, lower: Annotated[float | None, Stated("min")] = None, upper: Annotated[float | None, Stated("max")] = None,
) -> Value:  # fmt: skip
    """Compute Clip. The limits were attributes up to opset 10."""
    for operation, limit, stated in (("maximum", low, lower), ("minimum", high, upper)):
        if stated is not None:
            x = x.combine(operation, Constant.of(np.asarray(stated, x.low.dtype), budget))
        elif limit is not None:
            x = x.combine(operation, limit)
    return x


def _clip(
    c: Context, opset: Opset, x: Name, low: Name | None = None, high: Name | None = None,
    *, lower: Annotated[float, Stated("min")] = -_LARGEST, upper: Annotated[float, Stated("max")] = _LARGEST,
) -> Value:  # fmt: skip
    """Convert Clip. Constant limits are an activation, computed ones those of a maximum and of a minimum."""
    if all(name is None or c.is_constant(name) for name in (low, high)):
        if opset >= _LIMITS_ARE_OPERANDS:
            lower, upper = (
                otherwise if name is None else c.constants.number(name, f"its {side} limit")
                for name, otherwise, side in ((low, -math.inf, "lower"), (high, math.inf, "upper"))
            )
        given = c.value(x, whole_numbers=True)
        limited = given.map(clipping(lower, upper))
        return limited.mark_as_integers() if given.whole_numbers else limited
    y = c.value(x, whole_numbers=True)
    computed = [(operation, name) for operation, name in (("maximum", low), ("minimum", high)) if name]
    for place, (operation, name) in enumerate(computed, start=1):
        limit = c.tensor(name, whole_numbers=True)
        y = y.combine(operation, limit, "" if place == len(computed) else "/low")
    return y


# ---- Others --------------------------------------------------------------------------------------------------------


Slopes = Annotated[Constant, Operand("its slopes")]


def _prelu_constant(x: Given, slopes: Slopes) -> Value:
    return _by_sign(x, slopes)


def _prelu(c: Context, node: Node, x: Computed, slopes: Slopes) -> Value:
    """Convert PRelu to a layer with a slope for each channel, or else to max(x, 0) + slopes * min(x, 0)."""
    numbers = slopes.real("its slopes")
    if (made := _with_slopes(c, node, x, numbers)) is not None:
        return made
    return _by_sign(x, _slopes(c, node, x, numbers))


def _by_sign(x: Value, slopes: Value) -> Value:
    positive = x.map("relu", "/positive")
    negative = x.map({"kind": "clamp", "a": -_LARGEST, "b": 0.0}, "/negative")
    return positive.combine("add", negative.combine("multiply", slopes, "/scaled"))


def _with_slopes(c: Context, node: Node, x: FileTensor, slope: NDArray[np.float32]) -> FileTensor | None:
    """Convert PRelu with one slope, or one for each channel; None for other slopes."""
    if slope.size == 1 and not c.parameters.learns(node.inputs[1]):
        return x.map({"kind": "relu", "a": float(slope.reshape(-1)[0])})
    extents = (1,) * (x.rank - slope.ndim) + slope.shape
    if not (x.rank > 1 and len(extents) == x.rank and slope.size == extents[1] == x.shape[1]):
        return None
    tensor, rest, channels = c.arranger.channels_last(x, x.axes[1])
    name = c.naming.of_node(node)
    y = c.network.activation(tensor, "prelu", name=name)
    c.weights.set(name, "slope", in_memory_order(slope.reshape(-1), x.axes[1], channels), node.inputs[1])
    return x.with_tensor(y, rest + channels)


def _slopes(c: Context, node: Node, x: FileTensor, slope: NDArray[np.float32]) -> FileTensor:
    """Return the slopes as a tensor that broadcasts to x."""
    slopes = c.constant(node.inputs[1], x.rank, what="its slopes")
    if any(extent not in (1, own) for extent, own in zip(slopes.shape[1:], x.shape[1:], strict=True)):
        raise UnsupportedError(f"slopes of shape {slope.shape} for {x.shown}, which do not fit")
    return slopes


def _celu(x: X, *, alpha: float = 1.0) -> Value:
    """Convert CELU: alpha * elu(x / alpha)."""
    if alpha <= 0.0:
        raise UnsupportedError(f"its alpha is {alpha}; only numbers above 0 are supported")
    return x.linear(1.0 / alpha, suffix="/divided").map("elu", "/elu").linear(alpha)


def _selu(x: X, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Value:
    """Convert SELU: gamma * elu(x)."""
    return x.map({"kind": "elu", "a": alpha}, "/elu").linear(gamma)


def _reciprocal(x: X) -> Value:
    return x.reciprocal()


def _square_root(x: X) -> Value:
    return x.sqrt()


def _copied(x: Computed) -> Value:
    return x.map({"kind": "none"})


_SETTABLE: dict[str, Row] = {
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "Swish": _swish,
}
PLAIN = frozenset({*_FUNCTIONS, *_SETTABLE, "Clip"})
"""The operators that are one activation."""

NEURONS: dict[str, Row] = {
    **{kind: _plain(function) for kind, function in _FUNCTIONS.items()},
    **_SETTABLE,
    "Celu": _celu,
    "Reciprocal": _reciprocal,
    "Selu": _selu,
    "Sqrt": _square_root,
}
"""The rows of operators that serve constants and tensors of the network alike."""

NEURONS_OF_CONSTANTS: dict[str, Row] = {"Clip": _clip_constant, "PRelu": _prelu_constant}
NEURONS_OF_TENSORS: dict[str, Row] = {CAST_OF_FLOATS: _copied, "Clip": _clip, "PRelu": _prelu}
