"""Read files of a program's weights (weight.bin).

A header of 64 bytes is followed by weights. Each weight has metadata of 64 bytes: a magic number, its type, the size of
its data in bytes, and the position of the data.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.blobs import Place
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.reading.coreml.program.types import Element
from mpscnn.errors import UnsupportedError, WeightsError

_HEADER = 64
_VERSION = 2
_MARK = 0xDEADBEEF
_METADATA = struct.Struct("<IIQQQ")


class BlobFile:
    """A file of weights. Raises UnsupportedError for an unknown version of the format."""

    def __init__(self, content: FileBytes) -> None:
        self._content = content
        header = content.read(0, _HEADER)
        if len(header) < _HEADER:
            raise WeightsError(f"damaged: {content.path.name} has {len(content)} bytes")
        (version,) = struct.unpack_from("<I", header, 4)
        if version != _VERSION:
            raise UnsupportedError(f"{content.path.name} is of version {version}; supported is {_VERSION}")

    def place(self, offset: int, kind: Element, shape: tuple[int, ...]) -> Place:
        """Return the position of a weight's data. `offset` is the position of its metadata."""
        name = self._content.path.name
        metadata = self._content.read(offset, _METADATA.size) if offset < len(self._content) else b""
        if len(metadata) < _METADATA.size:
            raise WeightsError(f"damaged: there is no weight at byte {offset} of {name}")
        mark, stored, size, begin, _ = _METADATA.unpack(metadata)
        if mark != _MARK or stored != kind.stored:
            raise WeightsError(
                f"damaged: at byte {offset} of {name} there is no weight of the type {kind.name}"
            )
        needed = -(-math.prod(shape) * kind.bits // 8)
        if needed > size or begin + needed > len(self._content):
            raise WeightsError(
                f"damaged: the weight at byte {offset} of {name} has {size} bytes instead of {needed}"
            )
        return Place(self._content, begin, needed, kind.dtype)


def numbers(place: Place, kind: Element, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Read a weight from its position in the file."""
    return decode_data(place.content.read(place.begin, place.size), kind, shape)


def decode_data(content: bytes, kind: Element, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Decode a weight's data. Elements of fewer than 8 bits are packed without gaps, lowest bits first."""
    if kind.bits >= 8:
        return np.frombuffer(content, kind.dtype).reshape(shape)
    count = math.prod(shape)
    signed = kind.dtype.kind == "i"
    return unpack_integers(np.frombuffer(content, np.uint8), count, kind.bits, signed=signed).reshape(shape)


def unpack_integers(
    content: NDArray[np.uint8], count: int, bits: int, *, signed: bool = False
) -> NDArray[np.generic]:
    """Unpack integers of fewer than 8 bits, beginning with the lowest bits of the first byte."""
    if content.size < -(-count * bits // 8):
        raise WeightsError(f"damaged: {content.size} bytes for {count} integers of {bits} bits")
    flags = np.unpackbits(content, count=count * bits, bitorder="little").reshape(count, bits)
    integers = np.zeros(count, np.uint8)
    for place in range(bits):
        integers |= flags[:, place] << place
    if signed:
        return (integers << (8 - bits)).view(np.int8) >> (8 - bits)
    return integers
