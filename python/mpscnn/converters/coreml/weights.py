"""Read the weights of a Core ML neural network: float32, float16, and integers of 1 to 8 bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn.converters.blobs import Array, Blob, Place
from mpscnn.converters.coreml.skipped_weights import BITS, BYTES, FLOATS, HALVES
from mpscnn.converters.file_bytes import FileBytes
from mpscnn.errors import WeightsError

_TYPES: dict[int, np.dtype[Any]] = {
    FLOATS: np.dtype("<f4"),
    HALVES: np.dtype("<f2"),
    BITS: np.dtype("u1"),
    BYTES: np.dtype("i1"),
}
_MAX_AXES = 8

Shape = tuple[int, ...]


class Weights:
    """Reads weights from a file's protobuf messages.

    Large weights are not in the parsed messages. There a message holds the place of its numbers in the file.

    Args:
        content: the file.
        places: all places in the file that messages may refer to. Each is (field, first byte, size).
    """

    def __init__(self, content: FileBytes, places: Mapping[tuple[int, ...], None]) -> None:
        self._content = content
        self._places = dict(places)

    def blob(self, weight: Any, shape: Shape, what: str, *, axis: int = 0) -> Blob:
        """Return a weight of a stated shape.

        Args:
            weight: the protobuf message.
            shape: the extents of the weight.
            what: the name of the weight in error messages.
            axis: the axis along which quantised numbers have separate scales.

        Raises WeightsError if the number of elements in the file does not fit the shape.
        """
        if len(shape) > _MAX_AXES or min(shape, default=1) < 1:
            raise WeightsError(f"damaged: {what} have the shape {shape[:_MAX_AXES]}")
        size = math.prod(shape)
        field, data = self._data(weight, what)
        if field in (FLOATS, HALVES):
            count = data.size // data.dtype.itemsize if isinstance(data, Place) else data.size
            if count != size:
                raise WeightsError(f"damaged: {what} are {count} numbers for the shape {shape}")
            if isinstance(data, Place):
                return Blob(shape, data)
            return Blob(shape, data.reshape(shape))
        bits = int(weight.quantization.numberOfBits) if field == BITS else 8
        raw = data
        if isinstance(raw, Place):
            content = raw.content.read(raw.begin, raw.size)
            raw = np.frombuffer(content, raw.dtype)
        return Blob(
            shape, _dequantized(weight.quantization, _integers(raw, bits, size, what), shape, axis, what)
        )

    def _data(self, weight: Any, what: str) -> tuple[int, Place | Any]:
        """Return the number of the field with a weight's data, and the data or its position."""
        if weight.place:
            key = tuple(weight.place)
            if key not in self._places:
                raise WeightsError(f"damaged: {what} are not in the file")
            # Only one weight may use a place. A damaged file could refer to the same place many times.
            del self._places[key]
            field, begin, size = key
            if size % _TYPES[field].itemsize:
                raise WeightsError(f"damaged: {what} take {size} bytes")
            return field, Place(self._content, begin, size, _TYPES[field])
        if weight.floatValue:
            return FLOATS, np.asarray(weight.floatValue, np.float32)
        for field, held in (
            (HALVES, weight.float16Value),
            (BITS, weight.rawValue),
            (BYTES, weight.int8RawValue),
        ):
            if held:
                if len(held) % _TYPES[field].itemsize:
                    raise WeightsError(f"damaged: {what} take {len(held)} bytes")
                return field, np.frombuffer(held, _TYPES[field])
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
    if quantization.HasField("lookupTableQuantization"):
        table = np.asarray(quantization.lookupTableQuantization.floatValue, np.float32)
        if integers.dtype.kind != "u" or int(integers.max()) >= table.size:
            raise WeightsError(f"damaged: {what} have a table of {table.size} numbers")
        found: Array = table[integers].reshape(shape)
        return found
    if not quantization.HasField("linearQuantization"):
        raise WeightsError(f"damaged: {what} are integers without a scale")
    linear = quantization.linearQuantization
    numbers: Array = integers.astype(np.float32).reshape(shape)
    scale = _factors(linear.scale, shape, axis, what)
    numbers *= scale
    if linear.bias:
        numbers += _factors(linear.bias, shape, axis, what)
    return numbers


def _factors(values: Any, shape: Shape, axis: int, what: str) -> Array:
    """Return scales or biases in a shape that broadcasts: one number, or one for each index of an axis."""
    array = np.asarray(values, np.float32)
    if array.size == 1:
        return array.reshape(())
    if array.size != shape[axis]:
        raise WeightsError(f"damaged: {what} have {array.size} scales for the shape {shape}")
    return array.reshape([-1 if place == axis else 1 for place in range(len(shape))])
