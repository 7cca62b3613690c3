"""Define the element types of a program's values, with their numbers in messages and in files of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpscnn.converters.reading.graph.builder import Extents
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_RANK = 8
_MAX_EXTENT = 2**31 - 1


@dataclass(frozen=True)
class Element:
    """An element type.

    Attributes:
        name: Core ML's name, such as "fp16".
        dtype: NumPy's type of elements in memory. Elements of fewer than 8 bits take one byte.
        bits: the number of bits of an element in a file of weights.
        stored: the number of the type in files of weights; 0: it does not occur there.
    """

    name: str
    dtype: np.dtype[Any]
    bits: int
    stored: int


_BOOL, STRING = 1, 2
_ELEMENTS = {
    10: Element("fp16", np.dtype("<f2"), 16, 1),
    11: Element("fp32", np.dtype("<f4"), 32, 2),
    12: Element("fp64", np.dtype("<f8"), 64, 0),
    21: Element("int8", np.dtype("i1"), 8, 4),
    22: Element("int16", np.dtype("<i2"), 16, 6),
    23: Element("int32", np.dtype("<i4"), 32, 14),
    24: Element("int64", np.dtype("<i8"), 64, 0),
    25: Element("int4", np.dtype("i1"), 4, 8),
    31: Element("uint8", np.dtype("u1"), 8, 3),
    32: Element("uint16", np.dtype("<u2"), 16, 7),
    33: Element("uint32", np.dtype("<u4"), 32, 15),
    34: Element("uint64", np.dtype("<u8"), 64, 0),
    35: Element("uint4", np.dtype("u1"), 4, 11),
    36: Element("uint2", np.dtype("u1"), 2, 10),
    37: Element("uint1", np.dtype("u1"), 1, 9),
    38: Element("uint6", np.dtype("u1"), 6, 13),
    39: Element("uint3", np.dtype("u1"), 3, 12),
    _BOOL: Element("bool", np.dtype("?"), 8, 0),
}


NUMBERS = tuple(_ELEMENTS)
"""Core ML's numbers of all element types except strings."""


def element_type(number: int) -> Element:
    """Return the element type that has this number in Core ML.

    Raises UnsupportedError for unknown types, such as 8-bit floats.
    """
    if number not in _ELEMENTS:
        raise UnsupportedError(f"its numbers are of the type {number}, which is not supported")
    return _ELEMENTS[number]


def float_bits(message: Any) -> int | None:
    """Return 16 or 32 for a value of float16 or float32, from the message of its type; None for other values."""
    return {10: 16, 11: 32}.get(message.tensorType.dataType)


def is_integer(message: Any) -> bool:
    """Return True for a value of whole numbers, from the message of its type."""
    found = _ELEMENTS.get(message.tensorType.dataType)
    return found is not None and found.dtype.kind in "iu"


def extents(tensor: Any) -> Extents:
    """Return the shape of a tensor's type."""
    if len(tensor.dimensions) > _MAX_RANK:
        raise UnsupportedError(f"a tensor of {len(tensor.dimensions)} axes; supported are {_MAX_RANK}")
    found = tuple(
        int(dimension.constant.size) if dimension.has("constant") else None for dimension in tensor.dimensions
    )
    if any(extent is not None and extent > _MAX_EXTENT for extent in found):
        raise WeightsError(f"damaged: a tensor of the shape {found}")
    return found


def constant_shape(tensor: Any) -> tuple[int, ...]:
    """Return the shape of a constant's type."""
    found = extents(tensor)
    if None in found:
        raise WeightsError(f"damaged: a constant of the shape {found}")
    return tuple(extent or 0 for extent in found)
