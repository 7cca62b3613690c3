"""TensorFlow Lite's comparisons, choices, and what they give: 1 where something holds, else 0."""

from __future__ import annotations

from mpscnn.converters.broadcast import align
from mpscnn.converters.layout import Value
from mpscnn.converters.tflite.context import Handler, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.errors import UnsupportedError

_TWO = {
    "EQUAL": "equal",
    "GREATER": "greater",
    "GREATER_EQUAL": "greater_equal",
    "LESS": "less",
    "LESS_EQUAL": "less_equal",
    "LOGICAL_AND": "multiply",
    "LOGICAL_OR": "maximum",
    "NOT_EQUAL": "not_equal",
}


def operands(c: Reader, operator: FileOperator) -> tuple[list[Value], int]:
    """The operands of an operator with as many axes as each other, and the axes that were added to all in front.

    Constants become tensors.
    """
    first = next((index for index in operator.inputs if not c.is_constant(index)), None)
    if first is None:
        raise UnsupportedError("of large constants alone it is not supported")
    like = c.seen(first)
    values = [c.operand(index, like) for index in operator.inputs]
    rank = max(value.rank for value in values)
    if all(value.rank == rank and value.has_batch_first for value in values) or c.batch != 1:
        return values, 0
    apart = [c.set_apart(value, always=True)[0] for value in values]
    return [value.with_axes(range(1, 2 + rank - value.rank)) for value in apart], 1


def _compare(c: Reader, operator: FileOperator) -> None:
    values, added = operands(c, operator)
    both = align(c.arranger, *values)
    compare = getattr(c.network, _TWO[operator.kind])
    c.result(operator, both.result(compare(both.first, both.second, name=c.layer_name(operator))), added)


def _not(c: Reader, operator: FileOperator) -> None:
    x = c.seen(operator.inputs[0])
    opposite = {"kind": "linear", "a": -1.0, "b": 1.0}
    c.result(operator, x.holding(c.network.activation(x.tensor, opposite, name=c.layer_name(operator))))


def _select(c: Reader, operator: FileOperator) -> None:
    """The second operand where the first is true, else the third: of two sums one is 0."""
    ranks = [len(c.file.tensors[index].shape) for index in operator.inputs]
    if operator.kind == "SELECT" and ranks[0] == 1 < max(ranks):
        raise UnsupportedError("chooses between images of the batch")
    (condition, *choices), added = operands(c, operator)
    parts = []
    for value, choose in zip(choices, (c.network.mask, c.network.mask_out), strict=True):
        both = align(c.arranger, condition, value)
        parts.append(both.result(choose(both.first, both.second, name=c.layer_name(operator, "/part"))))
    both = align(c.arranger, *parts)
    y = c.network.add(both.first, both.second, name=c.layer_name(operator))
    c.result(operator, both.result(y), added)


LOGIC: dict[str, Handler] = {
    **dict.fromkeys(_TWO, _compare),
    "LOGICAL_NOT": _not,
    "SELECT": _select,
    "SELECT_V2": _select,
}
