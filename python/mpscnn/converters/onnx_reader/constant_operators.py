"""Compute operators that the network has no layer for: all their operands must be constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.constant import FUNCTION, IN_PYTHON, MAX_LISTED, Constant
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.onnx_reader.expansions import BLOCK_TABLE, COMPUTED, UNPACKED
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.onnx_reader.quantizations import scales_along
from mpscnn.converters.onnx_reader.tensors import element_type, type_number
from mpscnn.errors import UnsupportedError

_BYTE = 8
# The attributes of a Constant that are numbers or text.
_STATED = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_string": np.str_,
    "value_strings": np.str_,
}


def _constant(o: Operands) -> Constant:
    """Return the value of a Constant. Lists are counted, because they take more memory than arrays."""
    if o.node.has("value"):
        return o.stored.decode(o.node.tensor("value"))
    name = next((name for name in _STATED if o.node.has(name)), None)
    if name is None:
        raise UnsupportedError("its value is a sparse tensor or missing, which is not supported")
    value = o.node.attributes[name]
    count = len(value) if isinstance(value, Sequence) else 1
    made = o.budget.run(Cost(count, count), lambda: np.asarray(value, _STATED[name]))
    return Constant.of(made, o.budget)


def _computed(o: Operands) -> Constant:
    """Compute `COMPUTED`, whose operands are shapes."""
    x, *others = (o.given(place) for place in range(len(o.node.inputs)))
    function = o.node.attributes["function"]
    return x.compute(lambda *shapes: x.run(MAX_LISTED, IN_PYTHON, lambda: function(*shapes)), *others)


def _bit_shift(o: Operands) -> Constant:
    shifts = {"LEFT": np.left_shift, "RIGHT": np.right_shift}
    return o.given(0).elementwise(shifts[o.node.text("direction", "")], o.given(1))


def _fill(o: Operands) -> Constant:
    value = o.node.tensor("value") if o.node.has("value") else np.zeros(1, np.float32)
    number = Constant.of(value, o.budget) if isinstance(value, np.ndarray) else o.stored.decode(value)
    return number.fill(o.given(0))


def _unpacked(o: Operands) -> Constant:
    """Compute `UNPACKED`: the numbers of a byte begin with its lowest bits."""
    x, bits = o.given(0), o.node.integer("bits")
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


def _block_table(o: Operands) -> Constant:
    """Compute `BLOCK_TABLE`."""
    node, x, scales, zero = o.node, o.given(0), o.given(1), o.optional(2)
    bits, is_packed = node.integer("bits"), element_type(type_number(x.low.dtype)) == "uint8"
    if is_packed:
        x = _unpacked_along(x, bits)
        if zero is not None:  # the last byte may have more zero points than there are blocks
            zero = _unpacked_along(zero, bits).compute(lambda own, scale: own[..., : scale.shape[-1]], scales)
    otherwise = np.float32(1 << (bits - 1) if is_packed else 0)

    def compute(x: Array, scale: Array, zero_point: Array | None) -> Array:
        def numbers() -> Array:
            offset = otherwise if zero_point is None else scales_along(node, x.shape, zero_point)
            moved = x.astype(np.float32) - offset.astype(np.float32)
            return np.asarray(moved * scales_along(node, x.shape, scale).astype(np.float32))

        return o.given(0).run(4 * x.size, FUNCTION, numbers)

    return x.compute(compute, scales, zero)


def _unpacked_along(x: Constant, bits: int) -> Constant:
    """Return bytes of several numbers as an array whose last axis has the numbers."""
    last = x.low.ndim - 1
    return _numbers_of_bytes(x, bits, np.uint8).merge_axes(last, last + 2)


OF_CONSTANTS: dict[str, Row] = {
    BLOCK_TABLE: _block_table,
    "BitShift": _bit_shift,
    COMPUTED: _computed,
    "Constant": _constant,
    "ConstantOfShape": _fill,
    "NonZero": lambda o: o.given(0).non_zero(),
    "Range": lambda o: o.given(0).count_up_to(o.given(1), o.given(2)),
    UNPACKED: _unpacked,
}
"""The functions of these operators."""
