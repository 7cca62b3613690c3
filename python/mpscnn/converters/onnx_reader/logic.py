"""Convert comparisons, logical operators and Where. Truth values are 1 and 0 in the network."""

from __future__ import annotations

import math

from mpscnn.converters.onnx_reader.attention_masks import mask_where
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row, either
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value

_OF_TWO = {
    "And": "and",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Or": "or",
    "Xor": "xor",
}


def are_truths(c: Context, name: str) -> bool:
    """Return True if all elements of a tensor are 0 or 1, judging by the nodes that compute it."""
    way = []
    while name not in c.known.truths:
        way.append(name)
        node = c.file.makers.get(name)
        if node is None or node.kind not in ("Cast", "Identity"):
            c.known.truths[name] = node is not None and node.kind in (*_OF_TWO, "IsNaN", "Not")
        else:
            name = node.inputs[0]
    c.known.truths |= dict.fromkeys(way, c.known.truths[name])
    return c.known.truths[name]


def _truth(o: Operands) -> Value:
    a, b = o.values(whole_numbers=True)
    return a.combine(_OF_TWO[o.node.kind], b).mark_as_integers()


def _not(o: Operands) -> Value:
    maker = None if o.are_constants else o.c.file.makers.get(o.node.inputs[0])
    if maker is not None and maker.kind == "Equal":
        a, b = o.c.tensors(maker.inputs, whole_numbers=True)
        return a.combine("not_equal", b).mark_as_integers()
    return o.x(whole_numbers=True).logical_not()


def _where(c: Context, node: Node) -> FileTensor:
    """Convert Where to a sum of two masked tensors: at each position one of the two is 0.

    A constant of minus infinity is not masked: it is added where the condition chooses it.
    """
    condition, *both = node.inputs
    choices = [*zip(both, ("mask", "mask_out"), strict=True)]
    infinite = next((method for name, method in choices if _is_number(c, name, -math.inf)), None)
    choices = [one for one in choices if one[1] != infinite]
    # A constant 0 adds nothing to the sum, so it is left out.
    choices = [one for one in choices if not _is_number(c, one[0], 0.0)] or choices[:1]
    rank = c.rank_of(node.inputs, whole_numbers=True)
    mask = c.tensor(condition, rank, whole_numbers=True)
    suffix = "/part" if len(choices) == 2 or infinite else ""
    first, *others = (
        mask.combine(method, c.tensor(name, rank, whole_numbers=True), suffix) for name, method in choices
    )
    if infinite:
        return mask_where(c, node, first, condition, is_true=infinite == "mask")
    return first + others[0] if others else first


def _is_number(c: Context, name: str, number: float) -> bool:
    """Return True if a tensor is a constant with this number as its single element."""
    if not c.is_constant(name):
        return False
    values = c.constants.real_view(name, "its operand")
    return values.size == 1 and bool((values == number).all())


def _is_nan(o: Operands) -> Value:
    """Compare numbers with themselves: only NaN differs."""
    x = o.x(whole_numbers=True).mark_as_floats()
    return x.combine("not_equal", x).mark_as_integers()


LOGIC: dict[str, Row] = {
    **dict.fromkeys(_OF_TWO, _truth),
    "IsNaN": _is_nan,
    "Not": _not,
    "Where": either(lambda o: o.given(0).where(o.given(1), o.given(2)), _where),
}
