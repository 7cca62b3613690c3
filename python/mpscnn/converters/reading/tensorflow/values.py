"""Convert tensors in TensorFlow's messages to arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.errors import UnsupportedError, WeightsError

TEXT, BFLOAT16 = 7, 14
#: TensorFlow's numbers of the types float32, float64, bfloat16 and float16.
FLOATS = (1, 2, BFLOAT16, 19)
_TYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "<u1",
    5: "<i2",
    6: "<i1",
    9: "<i8",
    10: "?",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
_NAMES = (
    "INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16 QINT16 "
    "QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64"
)
TYPE_NUMBERS = {f"DT_{name}": number for number, name in enumerate(_NAMES.split())}
"""TensorFlow's numbers of types of elements by their names in texts."""

# The fields with the elements of a tensor that has no raw bytes, by element type.
_FIELDS = {
    1: "float_val",
    2: "double_val",
    9: "int64_val",
    10: "bool_val",
    22: "uint32_val",
    23: "uint64_val",
}
_MAX_ELEMENTS = 2**31 - 1
MAX_AXES = 32

Array = NDArray[Any]


def parse_dtype(number: int) -> np.dtype[Any]:
    """Return the type of stored elements for TensorFlow's number. Raises UnsupportedError for strings and the like."""
    if number == BFLOAT16:
        return np.dtype("<u2")
    if number not in _TYPES:
        raise UnsupportedError("texts are not supported" if number == TEXT else f"elements of type {number}")
    return np.dtype(_TYPES[number])


def parse_shape(shape: Any) -> tuple[int | None, ...] | None:
    """Return the extents of a shape, with None for free ones; None if the number of axes is unknown.

    Raises UnsupportedError for more axes than arrays have.
    """
    if shape.unknown_rank:
        return None
    if (axes := shape.count("dim")) > MAX_AXES:
        raise UnsupportedError(f"a shape of {axes} axes; at most {MAX_AXES} are supported")
    return tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)


def parse_tensor(tensor: Any, budget: Budget) -> Array:
    """Return the values of a TensorProto as an array.

    Args:
        tensor: the message.
        budget: counts elements that the message does not state.

    Raises WeightsError if the message contradicts itself, UnsupportedError if it repeats a number more often than the
    budget allows, and the errors of `parse_dtype`.
    """
    kind = parse_dtype(tensor.dtype)
    extents = parse_shape(tensor.tensor_shape)
    if extents is None or None in extents:
        raise WeightsError("damaged: a constant with a free shape")
    shape = tuple(extent or 0 for extent in extents)
    count = math.prod(shape)
    if count > _MAX_ELEMENTS:
        raise WeightsError(f"damaged: a constant of the shape {shape}")
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * kind.itemsize:
            raise WeightsError(
                f"damaged: {len(tensor.tensor_content)} bytes for a constant of the shape {shape}"
            )
        return widen_bfloat16(np.frombuffer(tensor.tensor_content, kind).reshape(shape), tensor.dtype)
    if tensor.dtype in (19, BFLOAT16):
        listed: Array = tensor.numbers("half_val").astype(np.uint16).view(kind)
    else:
        listed = tensor.numbers(_FIELDS.get(tensor.dtype, "int_val")).astype(kind)
    if listed.size == count:
        return widen_bfloat16(listed.reshape(shape), tensor.dtype)
    if listed.size > count:
        raise WeightsError(f"damaged: {listed.size} numbers for a constant of the shape {shape}")
    # The last stated element is repeated for all missing ones. Without a stated element, all are 0.
    last = listed[-1] if listed.size else kind.type(0)
    budget.spend(Cost(count, count))
    filled = np.full(count, last, kind)
    filled[: listed.size] = listed
    return widen_bfloat16(filled.reshape(shape), tensor.dtype)


def widen_bfloat16(array: Array, number: int) -> Array:
    """Convert the bits of bfloat16 to float32; other arrays do not change."""
    if number != BFLOAT16:
        return array
    return (array.astype("<u4") << 16).view("<f4")


def dtype_number(dtype: np.dtype[Any]) -> int:
    """Return TensorFlow's number of a type of elements."""
    return next(number for number, text in _TYPES.items() if np.dtype(text) == dtype.newbyteorder("="))
