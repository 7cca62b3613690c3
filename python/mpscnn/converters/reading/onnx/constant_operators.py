"""Compute operators that the network has no layer for: all their operands must be constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.expansions import BLOCK_TABLE, COMPUTED, UNPACKED
from mpscnn.converters.reading.onnx.quantizations import scales_along
from mpscnn.converters.reading.onnx.row_calls import Given
from mpscnn.converters.reading.onnx.tensors import element_type, type_number
from mpscnn.converters.values.constant import FUNCTION, IN_PYTHON, MAX_LISTED, Constant
from mpscnn.converters.values.constant_pair import Array
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.errors import UnsupportedError, WeightsError

_BYTE = 8


@ignores("sparse_value")
def _constant(
    constants: Constants, *, value: Any = None, value_float: Any = None, value_floats: Any = None,
    value_int: Any = None, value_ints: Any = None, value_string: Any = None, value_strings: Any = None,
) -> Constant:  # fmt: skip
    """Return the value of a Constant. Lists are counted, because they take more memory than arrays."""
    if value is not None:
        return _decoded(constants, value)
    stated: list[tuple[Any, Any]] = [
        (value_float, np.float32), (value_floats, np.float32), (value_int, np.int64), (value_ints, np.int64),
        (value_string, np.str_), (value_strings, np.str_),
    ]  # fmt: skip
    found = next(((one, dtype) for one, dtype in stated if one is not None), None)
    if found is None:
        raise UnsupportedError("its value is a sparse tensor or missing, which is not supported")
    count = len(found[0]) if isinstance(found[0], Sequence) else 1
    made = constants.budget.run(Cost(count, count), lambda: np.asarray(*found))
    return Constant.of(made, constants.budget)


def _decoded(constants: Constants, value: Any) -> Constant:
    """Return a setting that is a tensor: an array, or the message of a file."""
    if not (isinstance(value, np.ndarray) or hasattr(value, "data_type")):
        raise WeightsError("damaged: its value is not a tensor")
    return constants.decode(value)


def _computed(*given: Given, function: Any) -> Constant:
    """Compute `COMPUTED`, whose operands are shapes."""
    x, *others = given
    return x.compute(lambda *shapes: x.run(MAX_LISTED, IN_PYTHON, lambda: function(*shapes)), *others)


def _bit_shift(x: Given, by: Given, *, direction: Literal["LEFT", "RIGHT"]) -> Constant:
    return x.elementwise(np.left_shift if direction == "LEFT" else np.right_shift, by)


def _fill(constants: Constants, shape: Given, *, value: Any = None) -> Constant:
    return _decoded(constants, np.zeros(1, np.float32) if value is None else value).fill(shape)


def _unpacked(x: Given, *, bits: int) -> Constant:
    """Compute `UNPACKED`: the numbers of a byte begin with its lowest bits."""
    if x.low.dtype.kind == "f":
        return x
    return _numbers_of_bytes(x, bits, np.float32)


def _numbers_of_bytes(x: Constant, bits: int, dtype: Any) -> Constant:
    """Return bytes of several numbers with a new last axis, on which each byte's lowest bits come first."""
    parts = [
        x.elementwise(lambda x, shift=shift: (x >> shift & ((1 << bits) - 1)).astype(dtype))
        for shift in range(0, _BYTE, bits)
    ]
    return parts[0].stack(parts[1:], x.low.ndim)


def _block_table(
    packed: Given, scales: Given, zero: Given | None = None, *, axis: int = 1, block_size: int = 0, bits: int
) -> Constant:
    """Compute `BLOCK_TABLE`."""
    x, is_packed = packed, element_type(type_number(packed.low.dtype)) == "uint8"
    if is_packed:
        x = _unpacked_along(x, bits)
        if zero is not None:  # the last byte may have more zero points than there are blocks
            zero = _unpacked_along(zero, bits).compute(lambda own, scale: own[..., : scale.shape[-1]], scales)
    otherwise = np.float32(1 << (bits - 1) if is_packed else 0)

    def compute(x: Array, scale: Array, zero_point: Array | None) -> Array:
        def along(parameters: Array) -> Array:
            return scales_along(x.shape, parameters, axis, block_size)

        def numbers() -> Array:
            offset = otherwise if zero_point is None else along(zero_point)
            moved = x.astype(np.float32) - offset.astype(np.float32)
            return np.asarray(moved * along(scale).astype(np.float32))

        return packed.run(4 * x.size, FUNCTION, numbers)

    return x.compute(compute, scales, zero)


def _unpacked_along(x: Constant, bits: int) -> Constant:
    """Return bytes of several numbers as an array whose last axis has the numbers."""
    last = x.low.ndim - 1
    return _numbers_of_bytes(x, bits, np.uint8).merge_axes(last, last + 2)


def _non_zero(x: Given) -> Constant:
    return x.non_zero()


@ignores("stash_type")
def _range(start: Given, end: Given, step: Given) -> Constant:
    return start.count_up_to(end, step)


OF_CONSTANTS: dict[str, Row] = {
    BLOCK_TABLE: _block_table,
    "BitShift": _bit_shift,
    COMPUTED: _computed,
    "Constant": _constant,
    "ConstantOfShape": _fill,
    "NonZero": _non_zero,
    "Range": _range,
    UNPACKED: _unpacked,
}
"""The rows of these operators."""
