"""Leave large data out of a protocol buffer file before it is parsed, so that no weight is in memory twice.

This module parses only as much of the wire format as is needed to find the large fields. The package protobuf parses
the remaining message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from mpscnn.converters import varints

# Data below this size in bytes stays in the message, because it is not worth a separate read.
_LARGE = 1 << 12
# After this many fields no more data is left out, because walking over fields in Python is slower than protobuf.
_MAX_FIELDS = 50_000

VARINT, _EIGHT_BYTES, LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""The wire types of protocol buffers."""


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        number, kind: the field's number and wire type, from its tag.
        first: the position of the tag.
        start, end: the range of the content, which follows the tag and, for `LENGTH`, the length.
        value: the number in a field of the kind `VARINT`.
    """

    number: int
    kind: int
    first: int
    start: int
    end: int
    value: int = 0


@dataclass(frozen=True)
class Holder:
    """How to leave out the data of one kind of message.

    Attributes:
        data: a function that gets the message's fields and returns the one with the data; None if nothing can be left
            out.
        reference: a function that returns the encoded fields that replace this field and refer to the data.
    """

    data: Callable[[Sequence[Field]], Field | None]
    reference: Callable[[Field], bytes]


Path = Mapping[int, "Path | Holder"]
"""The fields, by number, on the way from the outer message to messages with data."""


class SkippedData:
    """The message of a file, in which references replace large data.

    Args:
        file: the file, which is read from its beginning.
        size: the size of the file in bytes.
        inner: the fields in which messages with data lie.

    Attributes:
        left_out: the fields whose data was left out.
        message: the encoded message without this data.

    Raises:
        ValueError: a field is damaged, or extends beyond the file or the message that contains it.
    """

    def __init__(self, file: BinaryIO, size: int, inner: Path) -> None:
        self._file = file
        self._left = _MAX_FIELDS
        self.left_out: list[Field] = []
        self.message = self._without_data(0, size, inner)

    def _without_data(self, start: int, end: int, inner: Path) -> bytes:
        parts, kept = [], start  # contiguous fields that are kept are read together, from `kept` on
        for field in self._fields(start, end):
            path = inner.get(field.number)
            if path is None or field.kind != LENGTH or field.end - field.start < _LARGE:
                continue
            if isinstance(path, Holder):
                take = partial(self._referring, holder=path)
            else:
                take = partial(self._without_data, inner=path)
            content = take(field.start, field.end)
            tag = varints.encode(field.number << 3 | LENGTH)
            parts += [self._read(kept, field.first), tag, varints.encode(len(content)), content]
            kept = field.end
        return b"".join([*parts, self._read(kept, end)])

    def _referring(self, start: int, end: int, holder: Holder) -> bytes:
        fields = list(self._fields(start, end))
        data = holder.data(fields) if self._left else None
        if data is None or data.kind != LENGTH:
            return self._read(start, end)
        self.left_out.append(data)
        return self._read(start, data.first) + holder.reference(data) + self._read(data.end, end)

    def _fields(self, start: int, end: int) -> Iterator[Field]:
        """Yield the fields of a message, until `_MAX_FIELDS` fields of the file have been read."""
        position = start
        while position < end and self._left:
            self._left -= 1
            first = position
            tag, position = self._varint(position, end)
            number, kind = tag >> 3, tag & 7
            begin, value = position, 0
            if kind == VARINT:
                value, position = self._varint(position, end)
            elif kind == LENGTH:
                length, begin = self._varint(position, end)
                position = begin + length
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                position += 8 if kind == _EIGHT_BYTES else 4
            else:
                raise ValueError(f"a field of the kind {kind} at byte {begin}")
            if number == 0 or position > end:
                raise ValueError(f"field {number} at byte {begin} is damaged, or ends after its message")
            yield Field(number, kind, first, begin, position, value)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """Return the variable-length integer at a position, and the position after it."""
        found = self._read(position, min(position + varints.LONGEST, end))
        try:
            value, count = varints.decode(found, 0)
        except ValueError as error:
            raise ValueError(f"a number at byte {position} does not end") from error
        return value, position + count

    def _read(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        found = self._file.read(end - start)
        if len(found) != end - start:
            raise ValueError("it has become shorter while it was read")
        return found
