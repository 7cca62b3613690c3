"""Convert comparisons, logical operators and Where. Truth values are 1 and 0 in the network."""

from __future__ import annotations

import math
from functools import partial

from mpscnn.converters.onnx_reader.attention_masks import mask_where
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.operands import Operands, Row
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
_MAX_CASTS = 16  # the maximum number of casts that truth values are followed through


def are_truths(c: Context, name: str) -> bool:
    """Return True if all elements of a tensor are 0 or 1, judging by the nodes that compute it."""
    for _ in range(_MAX_CASTS):
        node = c.file.makers.get(name)
        if node is None or node.kind not in ("Cast", "Identity"):
            return node is not None and node.kind in (*_OF_TWO, "IsNaN", "Not")
        name = node.inputs[0]
    return False


def _truth(o: Operands) -> Value:
    a, b = o.values(whole_numbers=True)
    return a.combine(_OF_TWO[o.node.kind], b).mark_as_integers()


def _not(o: Operands) -> Value:
    maker = None if o.are_constants else o.c.file.makers.get(o.node.inputs[0])
    if maker is not None and maker.kind == "Equal":
        a, b = o.c.tensors(maker.inputs, whole_numbers=True)
        return a.combine("not_equal", b).mark_as_integers()
    return o.x(whole_numbers=True).logical_not()


def _where(o: Operands) -> Value:
    """Convert Where. A constant of minus infinity is not masked: it is added where the condition chooses it."""
    if o.are_constants:
        return o.given(0).where(o.given(1), o.given(2))
    c, names = o.c, o.node.inputs
    rank = c.rank_of(names, whole_numbers=True)
    condition = c.tensor(names[0], rank, whole_numbers=True)
    infinite = next((place for place in (1, 2) if _is_number(o, place, -math.inf)), None)
    if infinite:
        other = c.tensor(names[3 - infinite], rank, whole_numbers=True)
        scores = condition.combine("mask_out" if infinite == 1 else "mask", other, "/part")
        return mask_where(c, o.node, scores, names[0], is_true=infinite == 1)
    zeros = [_is_number(o, place, 0.0) for place in (1, 2)]
    tensors = [partial(c.tensor, name, rank, whole_numbers=True) for name in names[1:]]
    return condition.where(
        None if zeros[0] and not zeros[1] else tensors[0], None if zeros[1] else tensors[1]
    )


def _is_number(o: Operands, place: int, number: float) -> bool:
    """Return True if an operand is a constant with this number as its single element."""
    if not o.c.is_constant(o.node.inputs[place]):
        return False
    values = o.given(place).real_view("its operand")
    return values.size == 1 and bool((values == number).all())


def _is_nan(o: Operands) -> Value:
    """Compare numbers with themselves: only NaN differs."""
    x = o.x(whole_numbers=True).mark_as_floats()
    return x.combine("not_equal", x).mark_as_integers()


LOGIC: dict[str, Row] = {
    **dict.fromkeys(_OF_TWO, _truth),
    "IsNaN": _is_nan,
    "Not": _not,
    "Where": _where,
}
