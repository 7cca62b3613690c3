"""Read FlatBuffers, the container of TensorFlow Lite files, with checks of all bounds.

A table is a position in the buffer, and its fields are numbered. Every access is bounds-checked: one beyond the file
causes a WeightsError. Several offsets may lead to the same place. Therefore all reads of lists are counted, so that
time and memory stay in proportion to the file's size. More reads cause an UnsupportedError.
https://flatbuffers.dev/internals/ describes the encoding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.file_bytes import Content
from mpscnn.errors import UnsupportedError, WeightsError

# The largest total size of the lists and strings that are read, relative to the file's size. It is above 1, because
# some writers store equal lists or strings only once.
_MAX_READS = 4


class _File:
    """The bytes of a file, and how many bytes of lists may still be read."""

    __slots__ = ("_listed", "_unread", "content")

    def __init__(self, content: Content) -> None:
        self.content = content
        self._unread = _MAX_READS * len(content)
        self._listed: set[int] = set()

    def number(self, code: str, position: int) -> int:
        if not 0 <= position <= len(self.content) - struct.calcsize(code):
            raise WeightsError(f"damaged or cut off: it refers to byte {position} of {len(self.content)}")
        value: int = struct.unpack(code, self.content.read(position, struct.calcsize(code)))[0]
        return value

    def vector(self, start: int, item_size: int) -> tuple[int, int]:
        """Return the position of the first item of the list at `start`, and the number of items."""
        length = self.number("<I", start)
        size = 4 + length * item_size
        if start + size > len(self.content):
            raise WeightsError(
                f"damaged or cut off: a list at byte {start} reaches beyond the end of the file"
            )
        self.count(start, size)
        return start + 4, length

    def count(self, start: int, size: int) -> None:
        """Count the bytes of a list. Raises UnsupportedError if all lists together have far more than the file."""
        self._unread -= size
        if self._unread < 0:
            raise UnsupportedError(
                f"its lists and strings share places (the last at byte {start}), together they have more than "
                f"{_MAX_READS} times the file's {len(self.content)} bytes, which is not supported"
            )

    def list_table(self, position: int) -> None:
        """Record that a table is in a list. Raises UnsupportedError if it is listed twice, which would cost time."""
        if position in self._listed:
            raise UnsupportedError(
                f"the table at byte {position} is listed more than once, which is not supported"
            )
        self._listed.add(position)


@dataclass(frozen=True)
class Stretch:
    """A range of bytes of a file."""

    content: Content
    start: int
    size: int

    def read(self) -> bytes:
        """Return the bytes."""
        return self.content.read(self.start, self.size)


class Table:
    """A table of a FlatBuffer. Fields are accessed by number; absent fields have a default."""

    __slots__ = ("_file", "_position", "_vtable", "_vtable_size")

    def __init__(self, file: _File, position: int) -> None:
        self._file = file
        self._position = position
        self._vtable = position - file.number("<i", position)
        self._vtable_size = file.number("<H", self._vtable)
        if self._vtable_size < 4 or self._vtable_size % 2:
            raise WeightsError(f"damaged: the table at byte {position} has an impossible layout")

    @classmethod
    def root(cls, content: Content) -> Table:
        """Return the outermost table of a file's content."""
        file = _File(content)
        return cls(file, file.number("<I", 0))

    def has(self, field: int) -> bool:
        """Return True if the field is present."""
        return self._slot(field) != 0

    def fields(self) -> list[int]:
        """Return the numbers of the fields that are present."""
        start, size = self._vtable + 4, self._vtable_size - 4
        self._file.count(start, size)
        if start + size > len(self._file.content):
            raise WeightsError(f"damaged or cut off: a table at byte {self._position} has {size // 2} fields")
        places = struct.unpack(f"<{size // 2}H", self._file.content.read(start, size))
        return [field for field, place in enumerate(places) if place]

    def number(self, field: int, kind: str, default: int | float = 0) -> int | float:
        """Return a scalar field; `kind` is its format character of `struct`, such as B or i."""
        slot = self._slot(field)
        return self._file.number("<" + kind, self._position + slot) if slot else default

    def integer(self, field: int, kind: str = "i", default: int = 0) -> int:
        """Return an integer field."""
        return int(self.number(field, kind, default))

    def boolean(self, field: int) -> bool:
        """Return a boolean field; false if it is absent."""
        return self.integer(field, "B") != 0

    def table(self, field: int) -> Table | None:
        """Return a field that is a table; None if it is absent."""
        return Table(self._file, self._target(field)) if self.has(field) else None

    def text(self, field: int) -> str:
        """Return a string field; empty if it is absent."""
        if not self.has(field):
            return ""
        start, length = self._file.vector(self._target(field), 1)
        return self._file.content.read(start, length).decode("utf-8", errors="replace")

    def numbers(self, field: int, dtype: str) -> NDArray[np.generic]:
        """Return a field that is a vector of scalars of the NumPy type `dtype`; empty if it is absent."""
        wanted = np.dtype(dtype)
        if not self.has(field):
            return np.empty(0, wanted)
        start, length = self._file.vector(self._target(field), wanted.itemsize)
        return np.frombuffer(self._file.content.read(start, length * wanted.itemsize), wanted)

    def stretch(self, field: int) -> Stretch:
        """Return a field that is a vector of bytes, without reading them; empty if it is absent."""
        start, length = self._file.vector(self._target(field), 1) if self.has(field) else (0, 0)
        return Stretch(self._file.content, start, length)

    def tables(self, field: int) -> list[Table]:
        """Return a field that is a vector of tables; empty if it is absent. Each table may be listed only once."""
        positions = self._positions(field)
        for position in positions:
            self._file.list_table(position)
        return [Table(self._file, position) for position in positions]

    def repeated_tables(self, field: int) -> list[Table]:
        """Return a field that is a vector of tables which may be listed more than once. Equal tables are one object."""
        positions = self._positions(field)
        tables = {position: Table(self._file, position) for position in dict.fromkeys(positions)}
        return [tables[position] for position in positions]

    def field_sizes(self) -> dict[int, int]:
        """Return the present fields with the bytes that each may have: 1, 2, 4 or 8.

        A file does not state the types of its fields. A field has at most the bytes up to the next one, and lies at a
        multiple of its size.
        """
        end = self._file.number("<H", self._vtable + 2)
        places = {field: self._slot(field) for field in range((self._vtable_size - 4) // 2)}
        present = {field: place for field, place in places.items() if place}
        sizes = {}
        for field, place in present.items():
            gap = min((other for other in present.values() if other > place), default=end) - place
            fitting = (size for size in (8, 4, 2) if size <= gap and (self._position + place) % size == 0)
            sizes[field] = next(fitting, 1)
        return sizes

    def _positions(self, field: int) -> list[int]:
        if not self.has(field):
            return []
        start, length = self._file.vector(self._target(field), 4)
        return [at + self._file.number("<I", at) for at in range(start, start + 4 * length, 4)]

    def _slot(self, field: int) -> int:
        """Return the offset of a field in the table; 0 if it is absent.

        It is read on demand, because many tables may share a long vtable.
        """
        at = 4 + 2 * field
        return self._file.number("<H", self._vtable + at) if at < self._vtable_size else 0

    def _target(self, field: int) -> int:
        at = self._position + self._slot(field)
        return at + self._file.number("<I", at)
