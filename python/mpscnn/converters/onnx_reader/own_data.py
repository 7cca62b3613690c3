"""Large tensors of an ONNX file stay in the file while it is parsed, so that no weight is in memory twice.

Only what frames a tensor's bytes is read of the protocol buffers' wire format; all else is left to their package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

# Smaller tensors are not worth a read of their own.
_LARGE = 1 << 12
# Behind so many fields all is kept: to look at each costs more than protobuf's own reading.
_MOST_FIELDS = 50_000

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10

# Where messages lie in one another (onnx.proto): ModelProto.graph, GraphProto.initializer, and the tensors of Constant
# nodes: GraphProto.node, NodeProto.attribute, AttributeProto.t.
_Path = dict[int, "_Path"]
_TENSOR: _Path = {}
_INNER: _Path = {7: {5: _TENSOR, 1: {5: {5: _TENSOR}}}}
_DATA_TYPE, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 2, 9, 13, 14
_FLOAT, _DOUBLE = 1, 11
# Whose elements are whole bytes: UINT8, INT8, INT32, INT64, FLOAT16 and BFLOAT16 besides.
_PLAIN_TYPES = {_FLOAT, 2, 3, 6, 7, 10, _DOUBLE, 16}
# Fields with the same bytes as raw_data: float_data and double_data.
_SAME_BYTES = {(4, _FLOAT), (10, _DOUBLE)}


Place = tuple[str, str]
"""Offset and length of bytes in the file, as external data state them."""


@dataclass(frozen=True)
class _Field:
    """A field of a message.

    Attributes:
        number, kind: what its tag says.
        first: where the tag begins.
        start, end: of what follows the tag, and for `_LENGTH` its length.
        value: of a `_VARINT`.
    """

    number: int
    kind: int
    first: int
    start: int
    end: int
    value: int = 0


class OwnData:
    """The message of a file without the bytes of its large tensors, which refer to their places.

    Such a tensor gets external data without a location, as no valid file has.

    Args:
        file: the file, which is read from its beginning.
        size: of the file in bytes.

    Attributes:
        places: of the bytes that were left out.
        message: the rest.

    Raises:
        ValueError: fields reach beyond the file or what they lie in.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = _MOST_FIELDS
        self.places: set[Place] = set()
        self.message = self._without_data(0, size, _INNER)

    def _without_data(self, start: int, end: int, inner: _Path) -> bytes:
        parts, kept = [], start  # what is kept in one piece is read in one piece
        for field in self._fields(start, end):
            path = inner.get(field.number)
            if path is None or field.kind != _LENGTH or field.end - field.start < _LARGE:
                continue
            take = self._tensor if path is _TENSOR else partial(self._without_data, inner=path)
            content = take(field.start, field.end)
            tag = _varint(field.number << 3 | _LENGTH)
            parts += [self._read(kept, field.first), tag, _varint(len(content)), content]
            kept = field.end
        return b"".join([*parts, self._read(kept, end)])

    def _tensor(self, start: int, end: int) -> bytes:
        fields = list(self._fields(start, end))
        if self._left == 0:
            return self._read(start, end)
        types = [field.value for field in fields if field.number == _DATA_TYPE and field.kind == _VARINT]
        elsewhere = any(field.number in (_EXTERNAL_DATA, _DATA_LOCATION) for field in fields)
        if len(types) != 1 or types[0] not in _PLAIN_TYPES or elsewhere:
            return self._read(start, end)
        held = [
            field
            for field in fields
            if field.kind == _LENGTH
            and (field.number == _RAW_DATA or (field.number, types[0]) in _SAME_BYTES)
        ]
        if len(held) != 1:
            return self._read(start, end)
        (data,) = held
        place = (str(data.start), str(data.end - data.start))
        self.places.add(place)
        return self._read(start, data.first) + _reference(place) + self._read(data.end, end)

    def _fields(self, start: int, end: int) -> Iterator[_Field]:
        """The fields of a message, the first ones where there are too many."""
        position = start
        while position < end and self._left:
            self._left -= 1
            first = position
            tag, position = self._varint(position, end)
            number, kind = tag >> 3, tag & 7
            begin, value = position, 0
            if kind == _VARINT:
                value, position = self._varint(position, end)
            elif kind == _LENGTH:
                length, begin = self._varint(position, end)
                position = begin + length
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                position += 8 if kind == _EIGHT_BYTES else 4
            else:
                raise ValueError(f"a field of the kind {kind} at byte {begin}")
            if number == 0 or position > end:
                raise ValueError(f"field {number} at byte {begin} ends behind what it lies in")
            yield _Field(number, kind, first, begin, position, value)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """The number at a position, and where it ends."""
        found = self._read(position, min(position + _LONGEST_VARINT, end))
        value = 0
        for count, byte in enumerate(found, start=1):
            value |= (byte & 0x7F) << 7 * (count - 1)
            if byte < 0x80:
                return value, position + count
        raise ValueError(f"a number at byte {position} does not end")

    def _read(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        found = self._file.read(end - start)
        if len(found) != end - start:
            raise ValueError("it has become shorter while it was read")
        return found


def _reference(place: Place) -> bytes:
    """The fields of a tensor that refer to a place."""
    import onnx

    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in zip(("offset", "length"), place, strict=True):
        tensor.external_data.add(key=key, value=value)
    return bytes(tensor.SerializeToString())


def _varint(value: int) -> bytes:
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
