"""Convert elementwise functions that several layers compute."""

from __future__ import annotations

import math

from mpscnn.converters.composed_functions import arc_tangent, is_infinite, remainder, sine
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value


def _arc_sine(c: Context, node: Node) -> FileTensor:
    """Convert Asin and Acos: the angle whose tangent is x / sqrt(1 - x^2), or a quarter turn minus this angle."""
    x = c.x(node)
    rest = x.combine("multiply", x, "/squared").linear(-1.0, 1.0, "/rest")
    root = rest.map({"kind": "power", "a": 1.0, "c": 0.5}, "/root")
    is_cosine = node.kind == "Acos"
    angle = arc_tangent(x.combine("divide", root, "/tangent"), "/angle" if is_cosine else "")
    return x.linear(0.0, math.pi / 2, "/quarter").combine("subtract", angle) if is_cosine else angle


def _modulo(o: Operands) -> Value:
    """Convert Mod: the rest of a division has the sign of the divisor, or with `fmod` that of the dividend."""
    x, divisor = o.values(whole_numbers=True)
    return remainder(x, divisor, of_dividend=o.node.flag("fmod", default=False))


def _is_infinite(o: Operands) -> Value:
    negative, positive = (o.node.flag(f"detect_{sign}", default=True) for sign in ("negative", "positive"))
    return is_infinite(o.x(), negative=negative, positive=positive)


def _hardmax(c: Context, node: Node) -> FileTensor:
    """Convert Hardmax: 1 for the first of the largest elements of an axis, and 0 for the others."""
    x, is_old = c.x(node), c.file.opset < 13
    axis = x.axis(node.integer("axis", 1 if is_old else -1))
    shapes = x.trial_shapes()
    if is_old:  # up to opset 12 the axis includes all axes after it
        x = x.merge_axes(axis, x.rank)
    extent = x.known_extent(axis, "takes the largest element of")
    largest = x.argmax_or_argmin(axis).squeeze([axis])
    found = x.wrap(largest).one_hot(axis, extent, 1.0, 0.0).mark_as_floats()
    return found.reshape_to(*shapes) if is_old else found


SPECIAL: dict[str, Row] = {
    "Cos": lambda o: sine(o.x(), shifted=True),
    "IsInf": _is_infinite,
    "Mod": _modulo,
    "Sin": lambda o: sine(o.x()),
}
"""The functions of operators that serve constants and tensors of the network alike."""

TENSOR_FUNCTIONS: dict[str, Handler] = {
    "Acos": _arc_sine,
    "Asin": _arc_sine,
    "Atan": lambda c, node: arc_tangent(c.x(node)),
    "Hardmax": _hardmax,
}
