"""Convert TensorFlow Lite's comparisons, logical operators, selections and ONE_HOT. Truth values are 1 and 0."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.reading.tflite.operation import Operation, tensors, together
from mpscnn.converters.reading.tflite.row_calls import Given, X
from mpscnn.converters.values.rows import Operand, Row
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError

Number = Annotated[float, Operand("its number")]

_TWO = {
    "EQUAL": "equal",
    "GREATER": "greater",
    "GREATER_EQUAL": "greater_equal",
    "LESS": "less",
    "LESS_EQUAL": "less_equal",
    "LOGICAL_AND": "and",
    "LOGICAL_OR": "or",
    "NOT_EQUAL": "not_equal",
}


def _compare(kind: str) -> Row:
    def row(x: Given, y: Given) -> Value:
        first, second = together([x, y])
        return first.combine(kind, second)

    return row


def _not(x: X) -> Value:
    return x.logical_not()


def _select(op: Operation, condition: Given, x: Given, y: Given) -> Value:
    """Convert SELECT: elements of two tensors, chosen by truth values for whole images or for each element."""
    ranks = [len(one.stated.shape) for one in (condition, x, y)]
    if ranks[0] == 1 < max(ranks):
        raise UnsupportedError("chooses between images of the batch")
    return _select_v2(op, condition, x, y)


def _select_v2(op: Operation, condition: Given, x: Given, y: Given) -> Value:
    """Convert SELECT_V2 to a sum of two masked tensors: at each position one of the two is 0."""
    chosen, first, second = tensors([condition, x, y])
    return chosen.where(lambda: first, lambda: second, op.fused(None))


def _one_hot(
    x: Given, depth: Annotated[int, Operand("its depth")], on: Number, off: Number, *, axis: int = -1
) -> Value:
    """Convert ONE_HOT: a new axis with `on` at the index and `off` elsewhere."""
    return x.computed().one_hot(axis, depth, on, off)


LOGIC: dict[str, Row] = {
    **{kind: _compare(name) for kind, name in _TWO.items()},
    "LOGICAL_NOT": _not,
    "ONE_HOT": _one_hot,
    "SELECT": _select,
    "SELECT_V2": _select_v2,
}
