"""Write FlatBuffers, the container of TensorFlow Lite files.

Content is written in the order in which it is found from the root: a table, then what its fields refer to. FlatBuffers
allow any order, because all references but those to layouts (vtables) point forward.
https://flatbuffers.dev/internals/ describes the encoding.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

MAX_SIZE = 2**31 - 1
"""The maximum size of a FlatBuffer, in bytes."""


@dataclass(frozen=True)
class Number:
    """A field that is a scalar. `kind` is its format character of `struct`, such as B or i."""

    kind: str
    value: int | float


@dataclass(frozen=True)
class Data:
    """A field that is a vector of bytes whose first byte lies at a multiple of `alignment`."""

    content: bytes | memoryview
    alignment: int


Reference = str | Data | NDArray[np.generic] | Sequence["Fields"] | Mapping[int, "Field"]
Field = Number | Reference
Fields = Mapping[int, Field]
"""A table: for each field's number, a scalar, a text, a vector of bytes, scalars or tables, or a table."""


def flatbuffer(root: Fields, identifier: bytes) -> bytes:
    """Return the bytes of a FlatBuffer.

    Args:
        root: the outermost table.
        identifier: the four bytes that tell the format.

    Raises UnsupportedError if it has more than 2 GB.
    """
    writer = _Writer()
    writer.content += bytes(4) + identifier
    writer.add(0, root)
    while writer.waiting:
        writer.add(*writer.waiting.popleft())
    return bytes(writer.content)


class _Writer:
    def __init__(self) -> None:
        self.content = bytearray()
        #: The places of references, and what they refer to, in the order in which it is written.
        self.waiting: deque[tuple[int, Reference]] = deque()
        self._layouts: dict[bytes, int] = {}

    def add(self, place: int, value: Reference) -> None:
        """Write what the reference at `place` refers to, and set the reference."""
        if isinstance(value, Mapping):
            position = self._table(value)
        elif isinstance(value, str):
            position = self._vector(value.encode() + b"\0", len(value.encode()), 1)
        elif isinstance(value, Data):
            position = self._vector(value.content, len(value.content), value.alignment)
        elif isinstance(value, np.ndarray):
            stored = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
            position = self._vector(stored.tobytes(), stored.size, stored.itemsize)
        else:
            position = self._vector(bytes(4 * len(value)), len(value), 4)
            self.waiting.extend((position + 4 + 4 * number, table) for number, table in enumerate(value))
        if len(self.content) > MAX_SIZE:
            raise UnsupportedError("TensorFlow Lite files hold at most 2 GB")
        struct.pack_into("<I", self.content, place, position - place)

    def _align(self, alignment: int, before: int = 0) -> None:
        """Add zeros until `before` more bytes end at a multiple of `alignment`."""
        self.content += bytes(-(len(self.content) + before) % alignment)

    def _vector(self, items: bytes | memoryview, count: int, alignment: int) -> int:
        self._align(max(alignment, 4), before=4)
        position = len(self.content)
        self.content += struct.pack("<I", count)
        self.content += items
        return position

    def _table(self, fields: Fields) -> int:
        """Write a table after its layout. Fields lie in the table in descending order of their sizes."""
        sizes = {
            number: struct.calcsize(field.kind) if isinstance(field, Number) else 4
            for number, field in fields.items()
        }
        slots, end = [0] * (1 + max(fields, default=-1)), 4
        for number in sorted(fields, key=lambda number: (-sizes[number], number)):
            end += -end % sizes[number]
            slots[number] = end
            end += sizes[number]
        layout = self._layout(struct.pack(f"<HH{len(slots)}H", 4 + 2 * len(slots), end, *slots))
        self._align(8)
        position = len(self.content)
        self.content += bytes(end)
        struct.pack_into("<i", self.content, position, position - layout)
        for number, field in fields.items():
            place = position + slots[number]
            if isinstance(field, Number):
                struct.pack_into(f"<{field.kind}", self.content, place, field.value)
            else:
                self.waiting.append((place, field))
        return position

    def _layout(self, layout: bytes) -> int:
        """Return the position of a layout, which is written once."""
        if layout not in self._layouts:
            self._align(2)
            self._layouts[layout] = len(self.content)
            self.content += layout
        return self._layouts[layout]
