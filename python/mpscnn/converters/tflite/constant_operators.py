"""Compute TensorFlow Lite's operators whose operands are all constants.

Frameworks export code such as `x.shape[0]` as SHAPE, STRIDED_SLICE, PACK, ... All of it is constant, except for extents
that are free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mpscnn.converters.constant import CHEAP, Constant, listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.strided_slice import from_begins_and_sizes
from mpscnn.converters.tflite.context import Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.slicing import strided_indices
from mpscnn.errors import UnsupportedError

_Compute = Callable[[Reader, FileOperator, list[Constant]], Constant]

# The maximum size of operands. Shapes have up to 8 axes; larger arrays could grow with each operator.
_MAX_ELEMENTS = 64


def compute(c: Reader, operator: FileOperator, operands: list[Constant]) -> Constant:
    """Return the result of an operator in `COMPUTED`.

    Raises UnsupportedError for operands of more than 64 elements, unless the result is no larger.
    """
    if operator.kind not in _NEVER_LARGER and any(one.size > _MAX_ELEMENTS for one in operands):
        raise UnsupportedError(
            f"arithmetic on constants of more than {_MAX_ELEMENTS} elements is not supported"
        )
    return COMPUTED[operator.kind](c, operator, operands)


def _arithmetic(operation: str, _: Reader, __: FileOperator, operands: list[Constant]) -> Constant:
    first, second = operands
    return first.combine(operation, second)


def _broadcast_args(_: Reader, __: FileOperator, operands: list[Constant]) -> Constant:
    def broadcast(*shapes: Array) -> Array:
        extents = [listed(shape, "its shape") for shape in shapes]
        return first.run(shapes[0].size, CHEAP, lambda: np.array(np.broadcast_shapes(*extents), np.int64))

    first, *others = operands
    return first.compute(broadcast, *others)


def _cast(c: Reader, operator: FileOperator, operands: list[Constant]) -> Constant:
    """Compute CAST. Integers keep their type, so that the numbers of free extents fit into it."""
    target = c.file.tensors[operator.outputs[0]].dtype
    if target.kind in "iu" and operands[0].low.dtype.kind in "iu":
        return operands[0]
    return operands[0].cast(lambda x: x.astype(target))


def _product(_: Reader, operator: FileOperator, operands: list[Constant]) -> Constant:
    wide = operands[0].cast(lambda x: x.astype(np.int64))
    return wide.reduce("product", operands[1], keeps_axes=operator.flag(0))


def _range(_: Reader, __: FileOperator, operands: list[Constant]) -> Constant:
    first, end, step = operands
    return first.count_up_to(end, step)


def _slice(_: Reader, __: FileOperator, operands: list[Constant]) -> Constant:
    x, *ranges = operands
    return x.slice(lambda _, *numbers: from_begins_and_sizes(*numbers), *ranges)


def _strided_slice(_: Reader, operator: FileOperator, operands: list[Constant]) -> Constant:
    def parts(_: tuple[int, ...], *ranges: Array) -> Sequence[object]:
        return strided_indices([listed(one, "its range") for one in ranges], operator.options)

    x, *ranges = operands
    return x.slice(parts, *ranges)


COMPUTED: dict[str, _Compute] = {
    "ADD": partial(_arithmetic, "add"),
    "BROADCAST_ARGS": _broadcast_args,
    "CAST": _cast,
    "CONCATENATION": lambda _, operator, given: given[0].concat(given[1:], operator.integer(0)),
    "DIV": partial(_arithmetic, "divide"),
    "EXPAND_DIMS": lambda _, __, given: given[0].expand_dims(given[1]),
    "FILL": lambda _, __, given: given[1].fill(given[0]),
    "FLOOR_DIV": partial(_arithmetic, "floor_divide"),
    "GATHER": lambda _, operator, given: given[0].take(operator.integer(0), given[1]),
    "MAXIMUM": partial(_arithmetic, "maximum"),
    "MINIMUM": partial(_arithmetic, "minimum"),
    "MUL": partial(_arithmetic, "multiply"),
    "PACK": lambda _, operator, given: given[0].stack(given[1:], operator.integer(1)),
    "RANGE": _range,
    "REDUCE_PROD": _product,
    "RESHAPE": lambda _, __, given: given[0].reshape(given[1]),
    "SLICE": _slice,
    "SQUEEZE": lambda _, __, given: given[0].squeeze(None),
    "STRIDED_SLICE": _strided_slice,
    "SUB": partial(_arithmetic, "subtract"),
    "TRANSPOSE": lambda _, __, given: given[0].transpose(given[1]),
}
"""The functions that compute an operator of constants, by TensorFlow Lite's name of the operator."""
_NEVER_LARGER = ("CAST", "EXPAND_DIMS", "FILL", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")
