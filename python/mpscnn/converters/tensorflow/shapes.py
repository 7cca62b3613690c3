"""Compute shapes while a graph is read. None stands for an extent that the graph leaves free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.budget import Cost
from mpscnn.converters.tensorflow.slices import Slices
from mpscnn.errors import UnsupportedError, WeightsError

#: The maximum number of elements of an array that may be a shape.
MAX_NUMBERS = 1024
_BEYOND = 1 << 63
_ELEMENTS_PER_NUMBER = 8  # the elements of a constant that take as much memory as a number of Python

Numbers = NDArray[Any]
"""An array of integers. It has the type object if some of them are None."""

Function = Callable[[Sequence[Numbers], dict[str, Any]], list[Numbers]]


def known_extents(values: Sequence[int | None]) -> Numbers:
    """Return extents as a vector, of type object if some are free. Raises WeightsError for numbers beyond 64 bits."""
    if not all(value is None or -_BEYOND <= value < _BEYOND for value in values):
        raise WeightsError("damaged: computes a whole number of more than 64 bits")
    if None in values:
        return np.asarray(values, object)
    return np.asarray(values, np.int64)


def is_shape(array: Numbers) -> bool:
    """Return True if an array may be part of a shape: it is small and has integers, booleans or None."""
    return array.size <= MAX_NUMBERS and array.dtype.kind in "iuOb"


def _elementwise(function: Callable[[int, int], int]) -> Function:
    def compute(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
        a, b = np.broadcast_arrays(*(np.asarray(one, object) for one in operands))
        if a.size > MAX_NUMBERS:
            raise UnsupportedError("computes with too many whole numbers")
        made = [
            None if x is None or y is None else function(int(x), int(y))
            for x, y in zip(a.reshape(-1), b.reshape(-1), strict=True)
        ]
        return [known_extents(made).reshape(a.shape)]

    return compute


def _over(x: int, y: int) -> int:
    if y == 0:
        raise WeightsError("damaged: divides by 0")
    return x // y


def _product(operands: Sequence[Numbers], attributes: dict[str, Any]) -> list[Numbers]:
    values, axes = operands
    if values.ndim != 1 or list(axes.reshape(-1)) not in ([0], [-1]):
        raise UnsupportedError("multiplies whole numbers along other axes than the first")
    total: int | None = 1
    for value in values:
        total = None if total is None or value is None else total * int(value)
    keeps = "keep_dims" in attributes and attributes["keep_dims"].b
    return [known_extents([total]) if keeps else known_extents([total]).reshape(())]


def _pack(operands: Sequence[Numbers], attributes: dict[str, Any]) -> list[Numbers]:
    axis = attributes["axis"].i if "axis" in attributes else 0
    return [_narrowed(np.stack([np.asarray(one, object) for one in operands], axis))]


def _unpack(operands: Sequence[Numbers], attributes: dict[str, Any]) -> list[Numbers]:
    axis = attributes["axis"].i if "axis" in attributes else 0
    return [_narrowed(part) for part in np.moveaxis(np.asarray(operands[0], object), axis, 0)]


def _concat(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    parts, axis = operands[:-1], int(operands[-1].reshape(()))
    return [_narrowed(np.concatenate([np.asarray(one, object) for one in parts], axis))]


def _gather(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    axis = int(operands[2].reshape(())) if len(operands) > 2 else 0
    return [_narrowed(np.take(np.asarray(operands[0], object), operands[1].astype(np.int64), axis))]


def _reshape(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    return [operands[0].reshape([int(extent) for extent in operands[1].reshape(-1)])]


def _expand(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    return [np.expand_dims(operands[0], int(operands[1].reshape(())))]


def _squeeze(operands: Sequence[Numbers], attributes: dict[str, Any]) -> list[Numbers]:
    axes = tuple(attributes["squeeze_dims"].list.i) if "squeeze_dims" in attributes else None
    return [np.squeeze(operands[0], axes or None)]


def _cast(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    return [operands[0]]


def _range(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    begin, end, step = (int(one.reshape(())) for one in operands)
    if step == 0 or len(range(begin, end, step)) > MAX_NUMBERS:
        raise UnsupportedError("counts more numbers than a shape has")
    return [np.arange(begin, end, step)]


def _fill(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    extents = [int(extent) for extent in operands[0].reshape(-1)]
    if min(extents, default=0) < 0 or np.prod(extents, dtype=object) > MAX_NUMBERS:
        raise UnsupportedError("fills more numbers than a shape has")
    return [np.full(extents, operands[1].reshape(()))]


def _strided_slice(operands: Sequence[Numbers], attributes: dict[str, Any]) -> list[Numbers]:
    values, begin, end, strides = operands
    return [_narrowed(Slices(begin, end, strides, attributes).of_array(np.asarray(values, object)))]


def _slice(operands: Sequence[Numbers], _: dict[str, Any]) -> list[Numbers]:
    values, begins, sizes = operands
    places = tuple(
        slice(int(begin), None if size == -1 else int(begin) + int(size))
        for begin, size in zip(begins, sizes, strict=True)
    )
    return [_narrowed(np.asarray(values, object)[places])]


def cost_of(kind: str, operands: Sequence[Numbers]) -> Cost:
    """Return the cost of computing an operator on shapes. Its numbers are Python's, which take more memory."""
    size = sum(operand.size for operand in operands)
    if kind.startswith("Gather") and len(operands) > 1:
        size += operands[0].size * operands[1].size
    return Cost(_ELEMENTS_PER_NUMBER * size, _ELEMENTS_PER_NUMBER * size)


def _narrowed(values: Any) -> Numbers:
    array = np.asarray(values, object)
    if any(value is None for value in array.reshape(-1)):
        return array
    return array.astype(np.int64)


#: The functions of operators that may compute shapes.
FUNCTIONS: dict[str, Function] = {
    "Add": _elementwise(lambda x, y: x + y),
    "AddV2": _elementwise(lambda x, y: x + y),
    "Sub": _elementwise(lambda x, y: x - y),
    "Mul": _elementwise(lambda x, y: x * y),
    "FloorDiv": _elementwise(_over),
    "FloorMod": _elementwise(lambda x, y: x - y * _over(x, y)),
    "Maximum": _elementwise(max),
    "Minimum": _elementwise(min),
    "Prod": _product,
    "Pack": _pack,
    "Unpack": _unpack,
    "ConcatV2": _concat,
    "Gather": _gather,
    "GatherV2": _gather,
    "Reshape": _reshape,
    "ExpandDims": _expand,
    "Squeeze": _squeeze,
    "Cast": _cast,
    "Range": _range,
    "Fill": _fill,
    "StridedSlice": _strided_slice,
    "Slice": _slice,
}

#: Operators that only change the shape of their first operand. Their first operand may be a constant of any size.
VIEWS = frozenset({"Reshape", "ExpandDims", "Squeeze"})
