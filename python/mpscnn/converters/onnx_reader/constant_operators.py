"""Compute operators that the network has no layer for: all their operands must be constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.constant import CHEAP, Constant
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.onnx_reader.expansions import UNPACKED
from mpscnn.converters.onnx_reader.operands import Operands, Row
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


def _bit_shift(o: Operands) -> Constant:
    shifts = {"LEFT": np.left_shift, "RIGHT": np.right_shift}
    return o.given(0).elementwise(shifts[o.node.text("direction", "")], o.given(1))


def _fill(o: Operands) -> Constant:
    value = o.node.tensor("value") if o.node.has("value") else np.zeros(1, np.float32)
    number = Constant.of(value, o.budget) if isinstance(value, np.ndarray) else o.stored.decode(value)
    return number.fill(o.given(0))


def _triangle(o: Operands) -> Constant:
    x, triangle = o.given(0), np.triu if o.node.flag("upper", default=True) else np.tril

    def compute(array: Array, diagonal: Array | None) -> Array:
        first = 0 if diagonal is None else int(diagonal.reshape(()))
        return x.run(array.size, CHEAP, lambda: triangle(array, first))

    return x.compute(compute, o.optional(1))


def _unpacked(o: Operands) -> Constant:
    """Compute `UNPACKED`: the numbers of a byte begin with its lowest bits."""
    x, bits = o.given(0), o.node.integer("bits")
    if x.low.dtype.kind == "f":
        return x
    parts = [
        x.elementwise(lambda x, shift=shift: (x >> shift & ((1 << bits) - 1)).astype(np.float32))
        for shift in range(0, _BYTE, bits)
    ]
    return parts[0].stack(parts[1:], x.low.ndim)


OF_CONSTANTS: dict[str, Row] = {
    "BitShift": _bit_shift,
    "Constant": _constant,
    "ConstantOfShape": _fill,
    "NonZero": lambda o: o.given(0).non_zero(),
    "Range": lambda o: o.given(0).count_up_to(o.given(1), o.given(2)),
    "Trilu": _triangle,
    UNPACKED: _unpacked,
}
"""The functions of these operators."""
