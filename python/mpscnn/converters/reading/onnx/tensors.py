"""Decode the tensors of ONNX messages to arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.installation import install_command
from mpscnn.errors import UnsupportedError

Array = NDArray[Any]


@dataclass(frozen=True)
class Element:
    """A type of elements.

    Attributes:
        name: ONNX' name in lower case.
        field: the field of the message that has the elements if there are no raw bytes.
        stored: the type of the elements in raw bytes.
        bits: the number of bits of an element. Elements of fewer than 8 bits share bytes.
        table: the numbers for all values of the bits, for small floats that NumPy lacks.
        own: the name of a type that NumPy has only with the package ml_dtypes; empty for other types.
    """

    name: str
    field: str
    stored: np.dtype[Any]
    bits: int
    table: Array | None = None
    own: str = ""


def _plain(name: str, field: str, stored: str) -> Element:
    dtype = np.dtype(stored)
    return Element(name, field, dtype, 8 * dtype.itemsize)


def _small_floats(exponent_bits: int, fraction_bits: int, bias: int, not_numbers: Sequence[int]) -> Array:
    """Return the numbers for all bits of a small float, with the sign in the highest bit.

    Args:
        exponent_bits, fraction_bits: the numbers of bits.
        bias: the number that is subtracted from the exponent.
        not_numbers: the bits that are NaN.
    """
    bits = np.arange(1 << (1 + exponent_bits + fraction_bits))
    fraction = (bits & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
    exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1)
    sign = np.where(bits >> (exponent_bits + fraction_bits), -1.0, 1.0)
    numbers = np.ldexp(np.where(exponent > 0, 1.0, 0.0) + fraction, np.maximum(exponent, 1) - bias)
    made: Array = (sign * numbers).astype(np.float32)
    made[list(not_numbers)] = np.nan
    return made


def _float8e5m2() -> Array:
    """Return the numbers of FLOAT8E5M2, which has infinities."""
    table = _small_floats(5, 2, 15, (0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF))
    table[[0x7C, 0xFC]] = np.inf, -np.inf
    return table


def _float8e8m0() -> Array:
    """Return the numbers of FLOAT8E8M0: powers of two, and NaN."""
    return np.append(np.exp2(np.arange(255.0) - 127), np.nan).astype(np.float32)


_BYTE, _SIGNED = np.dtype("u1"), np.dtype("i1")
FLOAT, UINT8, INT64, BOOL = 1, 2, 7, 9
"""ONNX' numbers of element types that readers of other formats use, too."""

_INT32, _STRING, _FLOAT16, _BFLOAT16, _COMPLEX = 6, 8, 10, 16, (14, 15)
# The types by ONNX' numbers. The small floats are those of the standard "OCP 8-bit Floating Point Specification".
_ELEMENTS = {
    FLOAT: _plain("float", "float_data", "<f4"),
    UINT8: _plain("uint8", "int32_data", "u1"),
    3: _plain("int8", "int32_data", "i1"),
    4: _plain("uint16", "int32_data", "<u2"),
    5: _plain("int16", "int32_data", "<i2"),
    _INT32: _plain("int32", "int32_data", "<i4"),
    INT64: _plain("int64", "int64_data", "<i8"),
    BOOL: _plain("bool", "int32_data", "?"),
    _FLOAT16: _plain("float16", "int32_data", "<f2"),
    11: _plain("double", "double_data", "<f8"),
    12: _plain("uint32", "uint64_data", "<u4"),
    13: _plain("uint64", "uint64_data", "<u8"),
    14: _plain("complex64", "float_data", "<c8"),
    15: _plain("complex128", "double_data", "<c16"),
    _BFLOAT16: Element("bfloat16", "int32_data", np.dtype("<u2"), 16, None, "bfloat16"),
    17: Element(
        "float8e4m3fn", "int32_data", _BYTE, 8, _small_floats(4, 3, 7, (0x7F, 0xFF)), "float8_e4m3fn"
    ),
    18: Element("float8e4m3fnuz", "int32_data", _BYTE, 8, _small_floats(4, 3, 8, (0x80,)), "float8_e4m3fnuz"),
    19: Element("float8e5m2", "int32_data", _BYTE, 8, _float8e5m2(), "float8_e5m2"),
    20: Element(
        "float8e5m2fnuz", "int32_data", _BYTE, 8, _small_floats(5, 2, 16, (0x80,)), "float8_e5m2fnuz"
    ),
    21: Element("uint4", "int32_data", _BYTE, 4, None, "uint4"),
    22: Element("int4", "int32_data", _SIGNED, 4, None, "int4"),
    23: Element("float4e2m1", "int32_data", _BYTE, 4, _small_floats(2, 1, 1, ()), "float4_e2m1fn"),
    24: Element("float8e8m0", "int32_data", _BYTE, 8, _float8e8m0(), "float8_e8m0fnu"),
    25: Element("uint2", "int32_data", _BYTE, 2, None, "uint2"),
    27: Element("float6e2m3", "int32_data", _BYTE, 6, _small_floats(2, 3, 1, ()), "float6_e2m3fn"),
    28: Element("float6e3m2", "int32_data", _BYTE, 6, _small_floats(3, 2, 3, ()), "float6_e3m2fn"),
    26: Element("int2", "int32_data", _SIGNED, 2, None, "int2"),
}
_NUMBERS = {
    element.stored.newbyteorder("="): number
    for number, element in reversed(_ELEMENTS.items())
    if not element.own
}
# Types that are not decoded.
_OTHERS = {0: "undefined", _STRING: "string"}
# The bits of elements that share bytes also in the field of numbers. Elements of 6 bits share them in raw bytes only.
_SHARING = (2, 4)
# The key in the metadata of an array's type that has ONNX' number of another type, whose numbers the array has.
_STANDS_FOR = "onnx"


def element_type(number: int) -> str:
    """Return ONNX' name, in lower case, of an element type."""
    return _ELEMENTS[number].name if number in _ELEMENTS else _OTHERS.get(number, f"type {number}")


def type_number(dtype: np.dtype[Any]) -> int:
    """Return ONNX' number of the type of an array of this module. Raises UnsupportedError if it has none."""
    if dtype.kind in "OSU":
        return _STRING
    metadata: Mapping[str, int] = dtype.metadata or {}
    number = metadata.get(_STANDS_FOR)
    if number is None:
        number = _NUMBERS.get(dtype.newbyteorder("="))
    if number is None:
        number = next((one for one, element in _ELEMENTS.items() if element.own == dtype.name), None)
    if number is None:
        raise UnsupportedError(f"elements of the type {dtype} are not supported")
    return number


def has_scales(dtype: np.dtype[Any]) -> bool:
    """Return True if the type is one that DequantizeLinear reads: an integer, or a float of 8 bits or fewer."""
    number = type_number(dtype)
    return number not in (BOOL, _STRING) and (dtype.kind in "iu" or _element(number).bits <= 8)


def plain_integers(array: Array) -> Array | None:
    """Return an array of integers in a type that NumPy has. Return None for elements that are not integers."""
    if array.dtype.kind in "iu":
        return array
    element = _ELEMENTS.get(type_number(array.dtype))
    is_integer = element is not None and element.bits < 8 and element.table is None
    return array.astype(element.stored) if element is not None and is_integer else None


def array_type(number: int) -> np.dtype[Any]:
    """Return the type of arrays of elements that are computed. Raises UnsupportedError if there is none."""
    element = _ELEMENTS.get(number)
    if element is None:
        raise UnsupportedError(f"elements of {element_type(number)} are not supported")
    if not element.own:
        plain: np.dtype[Any] = element.stored.newbyteorder("=")
        return plain
    own = _own_type(element.own)
    if own is None:
        raise UnsupportedError(f"numbers of the type {element.name} need: {install_command('convert')}")
    return own


def stored_bytes(number: int, count: int) -> int:
    """Return the number of raw bytes of some elements. Raises ValueError for types without raw bytes."""
    return -(-count * _element(number).bits // 8)


def decode_bytes(number: int, content: bytes, shape: tuple[int, ...]) -> Array:
    """Return the array of raw bytes. Raises ValueError for another number of bytes than the shape's.

    Elements of types that NumPy lacks get their types of the package ml_dtypes. Without it, they become float32 or
    integers of 8 bits, which have all of their values.
    """
    element = _element(number)
    count = math.prod(shape)
    if min(shape, default=0) < 0 or len(content) != stored_bytes(number, count):
        raise ValueError(f"{len(content)} bytes for the shape {shape}")
    stored = np.frombuffer(content, element.stored)
    if element.bits < 8:
        stored = _unpacked(stored, element.bits, count)
    return _decoded(number, element, stored).reshape(shape)


def decode_tensor(tensor: Any) -> Array:
    """Return the array of a tensor whose elements are in its message.

    Raises ValueError if there are more or fewer than in its shape, and for an unknown type.
    """
    shape, number = tuple(tensor.dims), tensor.data_type
    if number == _STRING:
        texts = np.empty(len(tensor.string_data), object)
        texts[:] = tensor.string_data
        return texts.reshape(_checked(shape))
    element = _element(number)
    if tensor.has("raw_data"):
        return decode_bytes(number, tensor.content("raw_data"), shape)
    listed = tensor.numbers(element.field)
    if number in (_FLOAT16, _BFLOAT16):
        listed = listed.astype(np.uint16).view(element.stored)
    elif number in _COMPLEX:
        listed = listed[: listed.size // 2 * 2].view(element.stored)
    elif element.bits < 8:
        listed = listed.astype(np.uint8).view(element.stored)
    else:
        listed = listed.astype(element.stored, copy=False)
    count = math.prod(_checked(shape))
    shares = element.bits in _SHARING
    if listed.size != (-(-count * element.bits // 8) if shares else count):
        raise ValueError(f"{listed.size} elements for the shape {shape}")
    if shares:
        listed = _unpacked(listed, element.bits, count)
    return _decoded(number, element, listed).reshape(shape)


def _element(number: int) -> Element:
    if number not in _ELEMENTS:
        raise ValueError(f"elements of {element_type(number)}")
    return _ELEMENTS[number]


def _checked(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape. Raises ValueError for a negative extent, which NumPy would replace."""
    if min(shape, default=0) < 0:
        raise ValueError(f"the shape {shape}")
    return shape


def _decoded(number: int, element: Element, stored: Array) -> Array:
    if not element.own:
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if number == _BFLOAT16:
        numbers = (stored.astype(np.uint32) << 16).view(np.float32)
    else:
        numbers = stored if element.table is None else element.table[stored & (len(element.table) - 1)]
    own = _own_type(element.own)
    if own is not None:
        return numbers.astype(own)
    return numbers.view(np.dtype(numbers.dtype, metadata={_STANDS_FOR: number}))


@cache
def _own_type(name: str) -> np.dtype[Any] | None:
    """Return a type of the package ml_dtypes; None without the package, or if it is too old."""
    try:
        own: np.dtype[Any] = np.dtype(getattr(import_module("ml_dtypes"), name))
    except (ImportError, AttributeError):
        return None
    return own


def _unpacked(packed: Array, bits: int, count: int) -> Array:
    """Unpack integers that share bytes, the lowest bits first. The type of the bytes says whether they have a sign."""
    flags = np.unpackbits(packed.view(np.uint8), count=count * bits, bitorder="little").reshape(count, bits)
    parts: Array = np.packbits(flags, 1, "little")[:, 0]
    if packed.dtype.kind == "u":
        return parts
    unused = np.uint8(8 - bits)
    signed: Array = (parts << unused).view(np.int8) >> np.int8(unused)
    return signed
