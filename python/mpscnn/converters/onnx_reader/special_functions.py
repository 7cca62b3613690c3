"""Convert elementwise functions that several layers compute."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.constant import FUNCTION
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row, either
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.trigonometry import arc_tangent, sine
from mpscnn.converters.value import Value


def _sine(c: Context, node: Node) -> FileTensor:
    return sine(c.x(node), shifted=node.kind == "Cos")


def _arc_tangent(c: Context, node: Node) -> FileTensor:
    return arc_tangent(c.x(node))


def _arc_sine(c: Context, node: Node) -> FileTensor:
    """Convert Asin and Acos: the angle whose tangent is x / sqrt(1 - x^2), or a quarter turn minus this angle."""
    x = c.x(node)
    rest = x.combine("multiply", x, "/squared").linear(-1.0, 1.0, "/rest")
    root = rest.map({"kind": "power", "a": 1.0, "c": 0.5}, "/root")
    is_cosine = node.kind == "Acos"
    angle = arc_tangent(x.combine("divide", root, "/tangent"), "/angle" if is_cosine else "")
    return x.linear(0.0, math.pi / 2, "/quarter").combine("subtract", angle) if is_cosine else angle


def _modulo_of_constants(o: Operands) -> Value:
    return o.given(0).combine("remainder" if o.node.flag("fmod", default=False) else "modulo", o.given(1))


def _modulo(c: Context, node: Node) -> FileTensor:
    """Convert Mod: the rest of a division has the sign of x, or without `fmod` that of y."""
    x, y = c.tensors(node.inputs, whole_numbers=True)
    whole = x.combine("divide", y, "/quotient").truncate("/multiples")
    product = whole.combine("multiply", y, "/multiple")
    # A divisor that is infinite is taken 0 times, which leaves x.
    rest = x.combine("subtract", whole.combine("mask", product, "/product"), "/rest")
    if node.flag("fmod", default=False):
        made = rest.map({"kind": "none"})
    else:
        signs = rest.map("sign", "/sign").combine("multiply", y.map("sign", "/sign_of_divisor"), "/signs")
        made = rest.combine("add", signs.less_than(0.0, "/differ").combine("mask", y, "/added"))
    return made.mark_as_integers() if x.whole_numbers and y.whole_numbers else made


def _is_constant_infinite(o: Operands) -> Value:
    signs = [
        sign
        for sign, name in ((-1, "negative"), (1, "positive"))
        if o.node.flag(f"detect_{name}", default=True)
    ]
    return o.given(0).elementwise(lambda x: np.isinf(x) & np.isin(np.sign(x), signs))


def _is_infinite(c: Context, node: Node) -> FileTensor:
    """Convert IsInf: numbers that are equal to themselves, but whose difference from themselves is NaN."""
    x = c.x(node)
    difference = x.combine("subtract", x, "/difference")
    not_finite = difference.combine("not_equal", difference, "/not_finite")
    found = not_finite.combine("subtract", x.combine("not_equal", x, "/not_a_number"), "/infinite")
    for name, factor in (("negative", 1.0), ("positive", -1.0)):
        if not node.flag(f"detect_{name}", default=True):
            sign = x.linear(factor, suffix=f"/{name}_side").less_than(0.0, f"/not_{name}")
            found = found.combine("multiply", sign.linear(-1.0, 1.0, f"/{name}"), f"/without_{name}")
    return found.map({"kind": "none"}).mark_as_integers()


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
    "Cos": either(lambda o: o.given(0).elementwise(np.cos, weight=FUNCTION), _sine),
    "IsInf": either(_is_constant_infinite, _is_infinite),
    "Mod": either(_modulo_of_constants, _modulo),
    "Sin": either(lambda o: o.given(0).elementwise(np.sin, weight=FUNCTION), _sine),
}
"""The functions of operators that serve constants and tensors of the network alike."""

TENSOR_FUNCTIONS: dict[str, Handler] = {
    "Acos": _arc_sine,
    "Asin": _arc_sine,
    "Atan": _arc_tangent,
    "Hardmax": _hardmax,
}
