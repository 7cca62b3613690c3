"""Read the wire format of protocol buffers.

A message is read from its file when one of its fields is asked for, and so are its inner messages and numbers.
A file of any size is therefore opened at once, and its weights can be read one by one. The size of the file limits
how many messages are made, because an empty message takes two bytes in a file and far more in memory.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening import varints
from mpscnn.converters.opening.file_bytes import Content
from mpscnn.converters.opening.wire.kinds import (
    EIGHT_BYTES,
    END_OF_GROUP,
    FOUR_BYTES,
    GROUP,
    LENGTH,
    VARINT,
    Field,
    Kind,
)
from mpscnn.errors import UnsupportedError, WeightsError

# A message of at most this many bytes is read at once. Larger ones are read in windows of the other size.
_SMALL, _WINDOW = 1 << 12, 1 << 14
# The longest field without its content: a tag and a length.
_LONGEST = 2 * varints.LONGEST
# The maximum depth of nested messages and groups.
_MAX_DEPTH = 100
# The messages that are made of a file: a fixed number, and one for so many bytes of the file.
FREE_MESSAGES, _BYTES_PER_MESSAGE = 1 << 18, 8
# The maximum number of elements of a list of Python numbers. `Message.numbers` has no limit.
_MAX_LISTED = 1 << 20
# Packed integers of at most this many bytes are decoded one by one, because that is faster for few.
_FEW = 64
_TYPES: dict[str, np.dtype[Any]] = {
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
    "float": np.dtype("<f4"),
    "double": np.dtype("<f8"),
}
_FIXED_SIZES = {FOUR_BYTES: 4, EIGHT_BYTES: 8}
_UNKNOWN = 0  # where the content of a message has its unknown fields; no field has this tag
_MAX_UNKNOWN = 16
_ALL_BITS = (1 << 64) - 1


Found: TypeAlias = "list[int] | array[int]"
"""The content of fields of one tag: numbers, or pairs of positions. Long ones are arrays, which take less memory."""


class _File:
    """The bytes of all messages of a file, and the number of messages that may still be made."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._maximum = FREE_MESSAGES + len(content) // _BYTES_PER_MESSAGE
        self._left = self._maximum

    def count(self, messages: int) -> None:
        """Count messages. Raises UnsupportedError for too many."""
        self._left -= messages
        if self._left < 0:
            raise UnsupportedError(
                f"it has so many small parts that more than {self._maximum} would be read; that is the limit for a "
                "file of its size"
            )


class Message:
    """A message of a file. Its fields are attributes with the names of the format's specification.

    A field that the file does not state has its default: 0, an empty text, an empty list or an empty message. Fields
    raise WeightsError where the file is damaged, and UnsupportedError for too many messages.

    Args:
        kind: the kind of message.
        file: the file.
        spans: the positions in the file of the message's first byte and of the byte after it. A message that is stored
            in several parts has several such pairs.
        depth: the number of messages around this one.
        held: the message's bytes if they are in memory.
    """

    __slots__ = ("_depth", "_file", "_found", "_held", "_kind", "_spans", "_values")

    def __init__(
        self, kind: Kind, file: _File, spans: Sequence[int], depth: int = 0, held: bytes | None = None
    ) -> None:
        self._kind = kind
        self._file = file
        self._spans = spans
        self._depth = depth
        self._held = held
        self._found: dict[int, Found] | None = None
        self._values: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        field = self._kind.fields.get(name)
        if field is None:
            raise AttributeError(f"{self._kind.name} has no field {name}")
        values = self._values
        if values is None:
            values = self._values = {}
        value = values.get(name)
        if value is None:
            value = values[name] = self._value(field)
        return value

    # ---- Fields ----------------------------------------------------------------------------------------------------

    @property
    def message_kind(self) -> Kind:
        """The kind of message."""
        return self._kind

    def has(self, name: str) -> bool:
        """Return True if the message states a field."""
        field = self._kind.fields[name]
        found = self._fields()
        return field.tag in found or (field.is_repeated and field.packed_tag in found)

    def stated(self) -> list[str]:
        """Return the names of all fields that the message states, in the order of their numbers."""
        numbers = sorted({tag >> 3 for tag in self._fields() if tag != _UNKNOWN})
        return [self._kind.numbers[number] for number in numbers]

    def unread(self) -> dict[int, int | bytes]:
        """Return fields that the message states and that are not read, by number, if its kind keeps them.

        The values are numbers, the bits of floats, or the first bytes. At most 16 fields are kept.
        """
        found = self._fields().get(_UNKNOWN, [])
        made: dict[int, int | bytes] = {}
        for place in range(0, len(found), 3):
            tag, first, end = found[place : place + 3]
            made[tag >> 3] = self._read(first, min(end, first + _FEW)) if tag & 7 == LENGTH else first
        return made

    def count(self, name: str) -> int:
        """Return the number of elements of a list of messages or texts, without reading them."""
        return len(self._fields().get(self._kind.fields[name].tag, ())) // 2

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a list of numbers as an array. It may be a view of bytes, so it is not writable."""
        field = self._kind.fields[name]
        plain, packed = self._of_tag(field.tag), self._of_tag(field.packed_tag)
        dtype = _TYPES[field.type]
        is_float = dtype.kind == "f"
        if len(plain):
            bits = np.array(self._in_order(field) if len(packed) else plain, np.uint64)
            return bits.astype(f"<u{dtype.itemsize}").view(dtype) if is_float else _integers(bits, dtype)
        parts = [self._read(begin, end) for begin, end in _pairs(packed)]
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        if not is_float:
            return _integers(_packed_integers(content, self._spans[0]), dtype)
        if len(content) % dtype.itemsize:
            raise _damage(packed[0], f"{field.name} has {len(content)} bytes")
        numbers: NDArray[Any] = np.frombuffer(content, dtype)
        return numbers

    def content(self, name: str) -> bytes:
        """Return the bytes of a field. Other than an attribute, they are not kept in memory."""
        found = self._of_tag(self._kind.fields[name].tag)
        return self._read(found[-2], found[-1]) if found else b""

    def position(self, name: str) -> tuple[int, int] | None:
        """Return the position and size in the file of bytes, or of numbers that are stored together.

        The result is None if the field is not stated, or if it is not one piece.
        """
        field = self._kind.fields[name]
        found = self._fields()
        spans = found.get(field.packed_tag)
        if spans is None or len(spans) != 2 or (field.tag != field.packed_tag and field.tag in found):
            return None
        return spans[0], spans[1] - spans[0]

    def release(self) -> None:
        """Release the values that were read. They are read again when they are needed."""
        self._found = self._values = None

    def encoded_size(self) -> int:
        """Return the size of the message in the file in bytes."""
        return sum(end - begin for begin, end in _pairs(self._spans))

    def is_same(self, other: Message) -> bool:
        """Return True if another message has the same bytes."""
        if self.encoded_size() != other.encoded_size():
            return False
        return self._bytes() == other._bytes()

    def _bytes(self) -> bytes:
        return b"".join(self._read(begin, end) for begin, end in _pairs(self._spans))

    def _value(self, field: Field) -> Any:
        found = self._of_tag(field.tag)
        if field.is_repeated:
            if field.inner is not None:
                return _Messages(self, field.inner, found)
            if field.is_number:
                return self._listed(field, found)
            return [self._text(field, begin, end) for begin, end in _pairs(found)]
        if field.inner is not None:
            return self._inner(field.inner, found)
        if not found:
            return field.default
        return _number(field.type, found[-1]) if field.is_number else self._text(field, *found[-2:])

    def _inner(self, kind: Kind, spans: Sequence[int]) -> Message:
        if self._depth == _MAX_DEPTH:
            raise _damage(self._spans[0], f"there are messages within {_MAX_DEPTH} others")
        self._file.count(1)
        held = None
        if len(spans) == 2 and (self._held is not None or spans[1] - spans[0] <= _SMALL):
            held = self._read(spans[0], spans[1])
        return Message(kind, self._file, spans, self._depth + 1, held)

    def _text(self, field: Field, begin: int, end: int) -> str | bytes:
        content = self._read(begin, end)
        # Old files have names in other encodings. They remain different names.
        return content if field.type == "bytes" else content.decode(errors="backslashreplace")

    def _listed(self, field: Field, plain: Sequence[int]) -> list[Any]:
        packed = self._of_tag(field.packed_tag)
        count = len(plain) + sum(end - begin for begin, end in _pairs(packed))
        if count > _FEW:
            numbers = self.numbers(field.name)
            if numbers.size > _MAX_LISTED:
                raise UnsupportedError(
                    f"{field.name} has {numbers.size} numbers; supported are {_MAX_LISTED}"
                )
            listed: list[Any] = numbers.tolist()
            return listed
        if field.type in ("float", "double"):
            return self.numbers(field.name).tolist() if count else []
        if plain and packed:
            plain = self._in_order(field)
        elif not plain:
            plain = [number for begin, end in _pairs(packed) for number in self._few_integers(begin, end)]
        return [_number(field.type, number) for number in plain]

    def _few_integers(self, begin: int, end: int) -> Iterator[int]:
        content, at = self._read(begin, end), 0
        while at < len(content):
            number, at = _varint(content, at, begin)
            yield number

    def _in_order(self, field: Field) -> list[int]:
        """Return the bits of a list of numbers, of which some are stored together and others one by one.

        No program writes such lists, but a list that is joined from two messages has this form.
        """
        records: list[tuple[bool, int]] = []
        found: dict[int, Any] = {
            field.tag: _Records(records, False),
            field.packed_tag: _Records(records, True),
        }
        for begin, end in _pairs(self._spans):
            self._scan(begin, end, found)
        bits: list[int] = []
        ends = iter(records)
        for is_packed, value in ends:
            if not is_packed:
                bits.append(value)
                continue
            content = self._read(value, next(ends)[1])
            width = _FIXED_SIZES.get(field.tag & 7)
            if width is not None and len(content) % width:
                raise _damage(value, f"{field.name} has {len(content)} bytes")
            numbers = (
                _packed_integers(content, value) if width is None else np.frombuffer(content, f"<u{width}")
            )
            bits += numbers.tolist()
        return bits

    # ---- Bytes -----------------------------------------------------------------------------------------------------

    def _of_tag(self, tag: int) -> Sequence[int]:
        found = self._found
        if found is None:
            found = self._fields()
        return found.get(tag, ())

    def _fields(self) -> dict[int, Found]:
        """Return the content of the message by tag: numbers, and for fields with a length, pairs of positions."""
        if self._found is None:
            found: dict[int, Found] = {}
            for begin, end in _pairs(self._spans):
                self._scan(begin, end, found)
            self._found = found
        return self._found

    def _scan(self, begin: int, end: int, found: dict[int, Any]) -> None:
        groups: list[int] = []
        position = begin
        while position < end:
            window = self._read(position, min(end, position + _WINDOW))
            position = _scan_window(window, position, end, self._kind, found, groups)
        if groups:
            raise _damage(end, "a group does not end")

    def _read(self, begin: int, end: int) -> bytes:
        if self._held is not None:
            first = self._spans[0]
            return self._held[begin - first : end - first]
        return self._file.content.read(begin, end - begin)


def open_message(kind: Kind, content: Content) -> Message:
    """Return the outer message of a file."""
    return Message(kind, _File(content), (0, len(content)))


class _Records:
    """A list to which a scan adds numbers or positions, each with a mark whether they are positions."""

    def __init__(self, records: list[tuple[bool, int]], is_packed: bool) -> None:
        self._records = records
        self._is_packed = is_packed

    def append(self, value: int) -> None:
        """Add a number or a position."""
        self._records.append((self._is_packed, value))


class _Messages(Sequence[Message]):
    """A list of messages, which are made one by one and not kept."""

    def __init__(self, outer: Message, kind: Kind, spans: Sequence[int]) -> None:
        self._outer = outer
        self._kind = kind
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans) // 2

    @overload
    def __getitem__(self, place: int) -> Message: ...
    @overload
    def __getitem__(self, place: slice) -> list[Message]: ...
    def __getitem__(self, place: int | slice) -> Message | list[Message]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        at = 2 * range(len(self))[place]
        return self._outer._inner(self._kind, self._spans[at : at + 2])

    def __iter__(self) -> Iterator[Message]:
        outer, kind, spans = self._outer, self._kind, self._spans
        return (outer._inner(kind, spans[place : place + 2]) for place in range(0, len(spans), 2))


# ---- Parts of the format -------------------------------------------------------------------------------------------


def _scan_window(
    window: bytes, base: int, end: int, kind: Kind, found: dict[int, Any], groups: list[int]
) -> int:
    """Find the fields that begin in a window of a message, and return the position after the last of them.

    Args:
        window: the bytes.
        base: the position of the window in the file.
        end: the end of the message in the file.
        kind: the kind of message.
        found: the content of the message by tag, to which the window's fields are added.
        groups: the numbers of the groups around the window's first field. Groups are not read, only skipped.
    """
    at, begin = 0, 0
    stop = len(window) if base + len(window) == end else len(window) - _LONGEST
    tags = kind.tags
    try:
        while at < stop:
            first = at
            tag = window[at]
            at += 1
            if tag >= 0x80:
                tag, at = _varint(window, first, base)
            form, value = tag & 7, 0
            if form == LENGTH:
                value = window[at]
                at += 1
                if value >= 0x80:
                    value, at = _varint(window, at - 1, base)
                begin = base + at
                at += value
            elif form == VARINT:
                value, at = _varint(window, at, base)
            elif form in _FIXED_SIZES:
                begin, at = at, at + _FIXED_SIZES[form]
                value = int.from_bytes(window[begin:at], "little")
            elif form == GROUP and not groups and tag >> 3 in kind.numbers:
                raise _damage(base + first, f"{kind.numbers[tag >> 3]} has the wrong wire type {form}")
            elif not _steps_into_group(tag, groups):
                raise _damage(base + first, "a field of an unknown wire type, or the end of another group")
            if tag < 8 or base + at > end:
                raise _damage(base + first, f"field {tag >> 3} is damaged, or ends after its message")
            if tag not in tags or groups:
                if tag >> 3 in kind.numbers and not groups and form != END_OF_GROUP:
                    raise _damage(base + first, f"{kind.numbers[tag >> 3]} has the wrong wire type {form}")
                if kind.keeps_unknown and not groups and len(found.get(_UNKNOWN, ())) < 3 * _MAX_UNKNOWN:
                    of_file = (begin, begin + value) if form == LENGTH else (value, 0)
                    found.setdefault(_UNKNOWN, []).extend((tag, *of_file))
                continue
            listed = found.get(tag)
            if listed is None:
                listed = found[tag] = [] if len(window) <= _SMALL else array("Q")
            if form == LENGTH:
                listed.append(begin)
                listed.append(begin + value)
            else:
                listed.append(value)
    except IndexError:
        raise _damage(base + len(window), "a field does not end") from None
    return base + at


def _steps_into_group(tag: int, groups: list[int]) -> bool:
    """Begin or end a group. Return False for another wire type, too many groups, or an end without its begin."""
    if tag & 7 == GROUP and len(groups) < _MAX_DEPTH:
        groups.append(tag >> 3)
        return True
    return tag & 7 == END_OF_GROUP and bool(groups) and groups.pop() == tag >> 3


def _varint(content: bytes, at: int, base: int) -> tuple[int, int]:
    """Return the number at a place of some bytes, and the place after it."""
    value = content[at] if at < len(content) else 0x80
    if value < 0x80:
        return value, at + 1
    try:
        value, at = varints.decode(content, at)
    except ValueError:
        raise _damage(base + at, "a number does not end") from None
    return value & _ALL_BITS, at


def _number(kind: str, bits: int) -> Any:
    """Return a number of a type from the bits that a message has for it."""
    if kind == "bool":
        return bits != 0
    if kind == "float":
        return struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    if kind == "double":
        return struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    size = 32 if kind.endswith("32") else 64
    bits &= (1 << size) - 1
    return bits - (1 << size) if kind[0] == "i" and bits >> (size - 1) else bits


def _integers(bits: NDArray[np.uint64], dtype: np.dtype[Any]) -> NDArray[Any]:
    return bits != 0 if dtype.kind == "b" else bits.astype(dtype)


def _packed_integers(content: bytes, base: int) -> NDArray[np.uint64]:
    """Decode varints that stand next to one another."""
    raw = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(raw) and (not len(ends) or ends[-1] + 1 != len(raw)):
        raise _damage(base, "the last of its numbers does not end")
    starts = np.concatenate((np.zeros(min(len(ends), 1), ends.dtype), ends[:-1] + 1))
    lengths = ends - starts + 1
    values = np.zeros(len(ends), np.uint64)
    longest = int(lengths.max(initial=0))
    if longest > varints.LONGEST:
        raise _damage(base, "one of its numbers does not end")
    for place in range(longest):
        has = lengths > place
        values[has] |= (raw[starts[has] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return values


def _pairs(spans: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip(*[iter(spans)] * 2, strict=True)


def _damage(position: int, what: str) -> WeightsError:
    return WeightsError(f"damaged: byte {position}: {what}")
