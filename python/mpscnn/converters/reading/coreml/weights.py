"""Read the weights of a Core ML neural network: float32, float16, and integers of 1 to 8 bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpscnn.converters.opening.blobs import Array, Blob, Place
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.errors import WeightsError

_FLOATS, _HALVES, _BITS, _BYTES = "floatValue", "float16Value", "rawValue", "int8RawValue"
_TYPES: dict[str, np.dtype[Any]] = {
    _FLOATS: np.dtype("<f4"),
    _HALVES: np.dtype("<f2"),
    _BITS: np.dtype("u1"),
    _BYTES: np.dtype("i1"),
}
_MAX_AXES = 8

Shape = tuple[int, ...]


class Weights:
    """Reads weights from a file's messages. Floats stay in the file until they are needed.

    Args:
        content: the file.

    Attributes:
        decompressed: whether weights that have been read were compressed, such as to 8-bit integers.
    """

    def __init__(self, content: FileBytes) -> None:
        self._content = content
        self.decompressed = False

    def blob(self, weight: Any, shape: Shape, what: str, *, axis: int = 0) -> Blob:
        """Return a weight of a stated shape.

        Args:
            weight: the message.
            shape: the extents of the weight.
            what: the name of the weight in error messages.
            axis: the axis along which quantised numbers have separate scales.

        Raises WeightsError if the number of elements in the file does not fit the shape.
        """
        if len(shape) > _MAX_AXES or min(shape, default=1) < 1:
            raise WeightsError(f"damaged: {what} have the shape {shape[:_MAX_AXES]}")
        size = math.prod(shape)
        field, data = self._data(weight, what)
        if field in (_FLOATS, _HALVES):
            count = data.size // data.dtype.itemsize if isinstance(data, Place) else data.size
            if count != size:
                raise WeightsError(f"damaged: {what} are {count} numbers for the shape {shape}")
            if isinstance(data, Place):
                return Blob(shape, data)
            return Blob(shape, data.reshape(shape))
        self.decompressed = True
        bits = int(weight.quantization.numberOfBits) if field == _BITS else 8
        raw = data
        if isinstance(raw, Place):
            content = raw.content.read(raw.begin, raw.size)
            raw = np.frombuffer(content, raw.dtype)
        return Blob(
            shape, _dequantized(weight.quantization, _integers(raw, bits, size, what), shape, axis, what)
        )

    def has_size(self, weight: Any, size: int) -> bool:
        """Return True if the file's bytes for a weight are those of `size` elements."""
        field, data = self._data(weight, "its numbers")
        bits = int(weight.quantization.numberOfBits) if field == _BITS else 8 * _TYPES[field].itemsize
        return (data.size if isinstance(data, Place) else data.nbytes) == -(-bits * size // 8)

    def _data(self, weight: Any, what: str) -> tuple[str, Place | Any]:
        """Return the name of the field with a weight's data, and the data or its position."""
        for field, dtype in _TYPES.items():
            place = weight.position(field)
            if place is not None and place[1]:
                if place[1] % dtype.itemsize:
                    raise WeightsError(f"damaged: {what} take {place[1]} bytes")
                return field, Place(self._content, place[0], place[1], dtype)
            if field == _FLOATS and weight.has(field):  # they are not stored together
                return field, weight.numbers(field)
        raise WeightsError(f"damaged: the file does not have {what}")


def _integers(raw: Any, bits: int, size: int, what: str) -> Any:
    """Unpack unsigned integers of 1 to 8 bits, highest bits first."""
    if not 1 <= bits <= 8:
        raise WeightsError(f"damaged: {what} have {bits} bits; expected 1 to 8")
    if raw.size != -(-bits * size // 8):
        raise WeightsError(f"damaged: {what} take {raw.size} bytes for {size} integers of {bits} bits")
    if bits == 8:
        return raw
    flags = np.unpackbits(raw, count=bits * size).reshape(size, bits)
    integers = np.zeros(size, np.uint8)
    for place in range(bits):
        integers <<= 1
        integers |= flags[:, place]
    return integers


def _dequantized(quantization: Any, integers: Any, shape: Shape, axis: int, what: str) -> Array:
    if quantization.has("lookupTableQuantization"):
        table = quantization.lookupTableQuantization.numbers("floatValue")
        if integers.dtype.kind != "u" or int(integers.max()) >= table.size:
            raise WeightsError(f"damaged: {what} have a table of {table.size} numbers")
        found: Array = table[integers].reshape(shape)
        return found
    if not quantization.has("linearQuantization"):
        raise WeightsError(f"damaged: {what} are integers without a scale")
    linear = quantization.linearQuantization
    numbers: Array = integers.astype(np.float32).reshape(shape)
    scale = _factors(linear.numbers("scale"), shape, axis, what)
    numbers *= scale
    if linear.has("bias"):
        numbers += _factors(linear.numbers("bias"), shape, axis, what)
    return numbers


def _factors(array: Array, shape: Shape, axis: int, what: str) -> Array:
    """Return scales or biases in a shape that broadcasts: one number, or one for each index of an axis."""
    if array.size == 1:
        return array.reshape(())
    if array.size != shape[axis]:
        raise WeightsError(f"damaged: {what} have {array.size} scales for the shape {shape}")
    return array.reshape([-1 if place == axis else 1 for place in range(len(shape))])
