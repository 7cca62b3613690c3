"""A bounds-checked reader of FlatBuffers, the container of TensorFlow Lite files.

A table is a position in the buffer; its fields are numbered. Every access checks that what it reads lies inside the
buffer, so a damaged file gives a WeightsError and nothing else.
https://flatbuffers.dev/internals/ describes the encoding.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import WeightsError


class Table:
    """One table: fields by number, absent ones with a default."""

    __slots__ = ("_buffer", "_position", "_slots")

    def __init__(self, buffer: bytes, position: int) -> None:
        self._buffer = buffer
        self._position = position
        vtable = position - _number(buffer, "<i", position)
        length = _number(buffer, "<H", vtable)
        if length < 4 or length % 2:
            raise WeightsError(f"damaged: the table at byte {position} has an impossible layout")
        self._slots = [_number(buffer, "<H", vtable + 4 + 2 * i) for i in range((length - 4) // 2)]

    @classmethod
    def root(cls, buffer: bytes) -> Table:
        """The file's outermost table."""
        return cls(buffer, _number(buffer, "<I", 0))

    def has(self, field: int) -> bool:
        """Whether the field is present."""
        return field < len(self._slots) and self._slots[field] != 0

    def number(self, field: int, kind: str, default: int | float = 0) -> int | float:
        """A scalar; `kind` is its struct character: b, B, h, i, I, q, f."""
        return _number(self._buffer, "<" + kind, self._at(field)) if self.has(field) else default

    def integer(self, field: int, kind: str = "i", default: int = 0) -> int:
        """A whole number."""
        return int(self.number(field, kind, default))

    def boolean(self, field: int) -> bool:
        """A flag; false when absent."""
        return self.integer(field, "B") != 0

    def table(self, field: int) -> Table | None:
        """A table inside this one."""
        return Table(self._buffer, self._target(field)) if self.has(field) else None

    def text(self, field: int) -> str:
        """A string; empty when absent."""
        if not self.has(field):
            return ""
        start, length = self._vector(field, 1)
        return self._buffer[start : start + length].decode("utf-8", errors="replace")

    def numbers(self, field: int, dtype: str) -> NDArray[np.generic]:
        """A vector of scalars, of the little-endian numpy `dtype`; empty when absent."""
        wanted = np.dtype(dtype)
        if not self.has(field):
            return np.empty(0, wanted)
        start, length = self._vector(field, wanted.itemsize)
        return np.frombuffer(self._buffer, wanted, length, start)

    def tables(self, field: int) -> list[Table]:
        """A vector of tables; empty when absent."""
        if not self.has(field):
            return []
        start, length = self._vector(field, 4)
        positions = range(start, start + 4 * length, 4)
        return [Table(self._buffer, at + _number(self._buffer, "<I", at)) for at in positions]

    def _at(self, field: int) -> int:
        return self._position + self._slots[field]

    def _target(self, field: int) -> int:
        at = self._at(field)
        return at + _number(self._buffer, "<I", at)

    def _vector(self, field: int, item_size: int) -> tuple[int, int]:
        start = self._target(field)
        length = _number(self._buffer, "<I", start)
        if start + 4 + length * item_size > len(self._buffer):
            raise WeightsError(
                f"damaged or cut off: a list at byte {start} reaches beyond the end of the file"
            )
        return start + 4, length


def _number(buffer: bytes, code: str, position: int) -> int:
    if not 0 <= position <= len(buffer) - struct.calcsize(code):
        raise WeightsError(f"damaged or cut off: it refers to byte {position} of {len(buffer)}")
    value: int = struct.unpack_from(code, buffer, position)[0]
    return value
