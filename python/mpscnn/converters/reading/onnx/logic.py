"""Convert comparisons, logical operators and Where. Truth values are 1 and 0 in the network."""

from __future__ import annotations

import math
from functools import partial

from mpscnn.converters.reading.onnx.attention_masks import mask_where
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Given, Whole, WholeTogether
from mpscnn.converters.values.rows import Name, Row
from mpscnn.converters.values.value import Value

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
_MAX_CASTS = 16  # the maximum number of casts that truth values are followed through


def are_truths(c: Context, name: str) -> bool:
    """Return True if all elements of a tensor are 0 or 1, judging by the nodes that compute it."""
    for _ in range(_MAX_CASTS):
        node = c.file.makers.get(name)
        if node is None or node.kind not in ("Cast", "Identity"):
            return node is not None and node.kind in (*_OF_TWO, "IsNaN", "Not")
        name = node.inputs[0]
    return False


def _truth(operation: str) -> Row:
    """Return the row of an operator of two operands by its name here."""

    def row(*given: WholeTogether) -> Value:
        a, b = given
        return a.combine(operation, b).mark_as_integers()

    return row


def _not_of_constant(x: Given) -> Value:
    return x.logical_not()


def _not(c: Context, x: Name) -> Value:
    maker = c.file.makers.get(x)
    if maker is not None and maker.kind == "Equal":
        a, b = c.tensors(maker.inputs, whole_numbers=True)
        return a.combine("not_equal", b).mark_as_integers()
    return c.value(x, whole_numbers=True).logical_not()


def _where_of_constants(condition: Given, chosen: Given, other: Given) -> Value:
    return condition.where(chosen, other)


def _where(c: Context, node: Node, condition: Name, chosen: Name, other: Name) -> Value:
    """Convert Where. A constant of minus infinity is not masked: it is added where the condition chooses it."""
    names = [chosen, other]
    rank = c.rank_of([condition, *names], whole_numbers=True)
    truths = c.tensor(condition, rank, whole_numbers=True)
    infinite = next((place for place, name in enumerate(names) if _is_number(c, name, -math.inf)), None)
    if infinite is not None:
        left = c.tensor(names[1 - infinite], rank, whole_numbers=True)
        scores = truths.combine("mask" if infinite else "mask_out", left, "/part")
        return mask_where(c, node, scores, condition, is_true=not infinite)
    zeros = [_is_number(c, name, 0.0) for name in names]
    tensors = [partial(c.tensor, name, rank, whole_numbers=True) for name in names]
    return truths.where(None if zeros[0] and not zeros[1] else tensors[0], None if zeros[1] else tensors[1])


def _is_number(c: Context, name: str, number: float) -> bool:
    """Return True if an operand is a constant with this number as its single element."""
    if not c.is_constant(name):
        return False
    values = c.constants.real_view(name, "its operand")
    return values.size == 1 and bool((values == number).all())


def _is_nan(x: Whole) -> Value:
    """Compare numbers with themselves: only NaN differs."""
    x = x.mark_as_floats()
    return x.combine("not_equal", x).mark_as_integers()


LOGIC: dict[str, Row] = {
    **{kind: _truth(operation) for kind, operation in _OF_TWO.items()},
    "IsNaN": _is_nan,
}
LOGIC_OF_CONSTANTS: dict[str, Row] = {"Not": _not_of_constant, "Where": _where_of_constants}
LOGIC_OF_TENSORS: dict[str, Row] = {"Not": _not, "Where": _where}
