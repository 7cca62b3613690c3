"""Convert TensorFlow Lite's comparisons, logical operators, selections and ONE_HOT. Truth values are 1 and 0."""

from __future__ import annotations

from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.context import Handler, Made, Reader
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


def operands(c: Reader, operator: FileOperator) -> list[FileTensor]:
    """Return the operands of an operator. Constants among them become layers."""
    first = next((index for index in operator.inputs if not c.is_constant(index)), None)
    if first is None:
        raise UnsupportedError("all its inputs are large constants, which is not supported")
    like = c.seen(first)
    return [c.operand(index, like) for index in operator.inputs]


def _compare(c: Reader, operator: FileOperator) -> Made:
    a, b = operands(c, operator)
    return a.combine(_TWO[operator.kind], b)


def _not(c: Reader, operator: FileOperator) -> Made:
    return c.seen(operator.inputs[0]).linear(-1.0, 1.0)


def _select(c: Reader, operator: FileOperator) -> Made:
    """Convert SELECT to a sum of two masked tensors: at each position one of the two is 0."""
    ranks = [len(c.file.tensors[index].shape) for index in operator.inputs]
    if operator.kind == "SELECT" and ranks[0] == 1 < max(ranks):
        raise UnsupportedError("chooses between images of the batch")
    condition, first, second = operands(c, operator)
    chosen, other = (
        condition.combine("mask", first, "/part"),
        condition.combine("mask_out", second, "/part"),
    )
    return chosen.combine("add", other, "", c.fused_activation(operator, None))


def _one_hot(c: Reader, operator: FileOperator) -> Made:
    """Convert ONE_HOT: a new axis with `on` at the index and `off` elsewhere."""
    x = c.seen(operator.inputs[0])
    (depth,) = c.constants.integers(operator.inputs[1], "its depth")
    on, off = (float(c.constants.real(index, "its numbers").reshape(())) for index in operator.inputs[2:4])
    return x.one_hot(operator.integer(0, default=-1), depth, on, off)


LOGIC: dict[str, Handler] = {
    **dict.fromkeys(_TWO, _compare),
    "LOGICAL_NOT": _not,
    "ONE_HOT": _one_hot,
    "SELECT": _select,
    "SELECT_V2": _select,
}
