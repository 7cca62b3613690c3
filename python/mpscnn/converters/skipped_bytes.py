"""Large data of a file of protocol buffers stays in the file while it is parsed, so that no weight is in memory twice.

Only what frames the data's bytes is read of the wire format; all else is left to the package protobuf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from mpscnn.converters import varints

# Smaller data is not worth a separate read.
_LARGE = 1 << 12
# Behind this many fields all is kept: to look at each costs more than protobuf's own reading.
_MOST_FIELDS = 50_000

VARINT, _EIGHT_BYTES, LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""Kinds of fields."""


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        number, kind: what its tag says.
        first: where the tag begins.
        start, end: of what follows the tag, and for `LENGTH` its length.
        value: of a `VARINT`.
    """

    number: int
    kind: int
    first: int
    start: int
    end: int
    value: int = 0


@dataclass(frozen=True)
class Holder:
    """A message with data.

    Attributes:
        data: of its fields the one that holds the data; None where it has none, or none that can be left out.
        reference: the fields that take the place of that one.
    """

    data: Callable[[Sequence[Field]], Field | None]
    reference: Callable[[Field], bytes]


Path = Mapping[int, "Path | Holder"]
"""The nesting of messages, by the numbers of their fields."""


class SkippedData:
    """The message of a file without large data, which it refers to instead.

    Args:
        file: the file, which is read from its beginning.
        size: of the file in bytes.
        inner: where messages with data lie.

    Attributes:
        left_out: the fields whose data was left out.
        message: the rest.

    Raises:
        ValueError: fields reach beyond the file or what they lie in.
    """

    def __init__(self, file: BinaryIO, size: int, inner: Path) -> None:
        self._file = file
        self._left = _MOST_FIELDS
        self.left_out: list[Field] = []
        self.message = self._without_data(0, size, inner)

    def _without_data(self, start: int, end: int, inner: Path) -> bytes:
        parts, kept = [], start  # what is kept in one piece is read in one piece
        for field in self._fields(start, end):
            path = inner.get(field.number)
            if path is None or field.kind != LENGTH or field.end - field.start < _LARGE:
                continue
            if isinstance(path, Holder):
                take = partial(self._referring, holder=path)
            else:
                take = partial(self._without_data, inner=path)
            content = take(field.start, field.end)
            tag = varints.encoded(field.number << 3 | LENGTH)
            parts += [self._read(kept, field.first), tag, varints.encoded(len(content)), content]
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
        """Yield the fields of a message, the first ones where there are too many."""
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
                raise ValueError(f"field {number} at byte {begin} ends behind what it lies in")
            yield Field(number, kind, first, begin, position, value)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """Return the number at a position, and where it ends."""
        found = self._read(position, min(position + varints.LONGEST, end))
        try:
            value, count = varints.decoded(found, 0)
        except ValueError as error:
            raise ValueError(f"a number at byte {position} does not end") from error
        return value, position + count

    def _read(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        found = self._file.read(end - start)
        if len(found) != end - start:
            raise ValueError("it has become shorter while it was read")
        return found
