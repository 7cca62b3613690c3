"""Find the sizes of the pictures that an AVIF file codes. The decoder takes memory for these, whatever its boxes say.

The boxes are those of ISO/IEC 14496-12 and 23008-12, the coded pictures those of the AV1 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Parts and headers may take _READINGS times the file's bytes, because several items may share some, and _FREE more.
# Each counts as _WORK bytes, because all of them may be empty.
_READINGS, _FREE, _WORK = 4, 1 << 20, 16
_TYPE = b"av01"
_SEQUENCE_HEADER = 1
_TO_SAMPLES = (b"trak", b"mdia", b"minf", b"stbl")


def stated_sizes(content: bytes) -> set[tuple[int, int]]:
    """Return the widths and heights that the boxes state for items."""
    found = set()
    for meta in _inner(content, b"meta"):
        for properties in _inner(meta[4:], b"iprp"):
            for container in _inner(properties, b"ipco"):
                found |= {
                    struct.unpack(">4xII", one[:12]) for one in _inner(container, b"ispe") if len(one) >= 12
                }
    return found


def coded_sizes(content: bytes) -> set[tuple[int, int]]:
    """Return the largest widths and heights of frames by all sequence headers of the items and the first samples.

    Raises ValueError, IndexError, KeyError or struct.error if the file is damaged.
    """
    left, found = _READINGS * len(content) + _FREE, set()
    for part in (*_items(content), *_first_samples(content)):
        for unit in _sequence_headers(part):
            left -= _WORK
            if left < 0:
                raise ValueError("it has very many sequence headers")
            found.add(_frame_size(unit))
    return found


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of consecutive boxes."""
    place = 0
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        begin = place + 8
        if size == 1:
            size, begin = int.from_bytes(content[begin : begin + 8], "big"), begin + 8
        end = place + size if size else len(content)
        if end < begin:
            return  # some cameras write other data after the boxes
        yield name, content[begin:end]
        place = end


def _inner(content: bytes, wanted: bytes) -> list[bytes]:
    return [inner for name, inner in _boxes(content) if name == wanted]


class _Numbers:
    """Reads whole numbers of bytes or bits one after another."""

    def __init__(self, content: bytes) -> None:
        self._content, self.bit = content, 0

    def bits(self, count: int) -> int:
        end = self.bit + count
        if end > 8 * len(self._content):
            raise ValueError("its headers are cut off")
        last = -(-end // 8)
        number = int.from_bytes(self._content[self.bit // 8 : last], "big") >> (8 * last - end)
        self.bit = end
        return number & ((1 << count) - 1)

    def bytes(self, count: int) -> int:
        return self.bits(8 * count)


def _items(content: bytes) -> Iterator[bytes]:
    """Yield the data of all items that are pictures of AV1."""
    for meta in _inner(content, b"meta"):
        pictures = set(_pictures(meta[4:]))
        inside = b"".join(_inner(meta[4:], b"idat")[:1])
        for places in _inner(meta[4:], b"iloc"):
            yield from _located(_Numbers(places), pictures, content, inside)


def _pictures(meta: bytes) -> Iterator[int]:
    """Yield the numbers of items with the type of AV1."""
    for items in _inner(meta, b"iinf"):
        for entry in _inner(items[8 if items[0] else 6 :], b"infe"):
            wide = 4 if entry[0] == 3 else 2
            if entry[6 + wide : 10 + wide] == _TYPE:
                yield int.from_bytes(entry[4 : 4 + wide], "big")


def _located(numbers: _Numbers, pictures: set[int], content: bytes, inside: bytes) -> Iterator[bytes]:
    """Yield the data of pictures by the table of their places."""
    version = numbers.bytes(1)
    numbers.bytes(3)
    offset, length, base, index = (numbers.bits(4) for _ in range(4))
    wide = 4 if version == 2 else 2
    left = _READINGS * len(content) + _FREE
    for _ in range(numbers.bytes(wide)):
        is_picture = numbers.bytes(wide) in pictures
        source = content
        if version in (1, 2) and numbers.bytes(2) & 15 == 1:
            source = inside
        numbers.bytes(2)  # a reference to another file
        begin, parts = numbers.bytes(base), []
        for _ in range(numbers.bytes(2)):
            if version in (1, 2):
                numbers.bytes(index)
            start, size = begin + numbers.bytes(offset), numbers.bytes(length)
            part = (source[start : start + size] if size else source[start:]) if is_picture else b""
            left -= len(part) + _WORK
            if left < 0:
                raise ValueError("its items refer to the same bytes again and again")
            parts.append(part)
        if is_picture:
            yield b"".join(parts)


def _first_samples(content: bytes) -> Iterator[bytes]:
    """Yield the first sample of each track, which is the first frame of a sequence."""
    tables = _inner(content, b"moov")
    for name in _TO_SAMPLES:
        tables = [inner for one in tables for inner in _inner(one, name)]
    for table in tables:
        boxes = dict(_boxes(table))
        sizes, places = boxes[b"stsz"], boxes.get(b"stco")
        (size,) = struct.unpack_from(">I", sizes, 4)
        if not size:
            (size,) = struct.unpack_from(">I", sizes, 12)
        begin = (
            struct.unpack_from(">Q", boxes[b"co64"], 8)
            if places is None
            else struct.unpack_from(">I", places, 8)
        )
        yield content[begin[0] : begin[0] + size]


def _sequence_headers(data: bytes) -> Iterator[bytes]:
    """Yield the sequence headers in a row of open bitstream units (OBU)."""
    place = 0
    while place < len(data):
        first = data[place]
        place += 2 if first & 4 else 1
        size = len(data) - place
        if first & 2:
            size, shift = 0, 0
            while True:
                size |= (data[place] & 127) << shift
                place, shift = place + 1, shift + 7
                if data[place - 1] < 128 or shift > 56:
                    break
        if first >> 3 & 15 == _SEQUENCE_HEADER:
            yield data[place : place + min(size, 1 << 12)]
        place += size


def _frame_size(header: bytes) -> tuple[int, int]:
    """Return the largest width and height of a frame by a sequence header."""
    numbers = _Numbers(header)
    bits = numbers.bits
    bits(4)
    if bits(1):  # the short header of a still picture
        bits(5)
    else:
        _skip_operating_points(numbers)
    width, height = bits(4) + 1, bits(4) + 1
    return bits(width) + 1, bits(height) + 1


def _skip_operating_points(numbers: _Numbers) -> None:
    bits = numbers.bits
    delay = 0
    if bits(1):  # timing
        bits(64)
        if bits(1):
            zeros = 0
            while not bits(1):
                zeros += 1
            bits(min(zeros, 32) % 32)
        if bits(1):  # a model of the decoder
            delay = bits(5) + 1
            bits(42)
    has_delays = bits(1)
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:
            bits(1)
        if delay and bits(1):
            bits(2 * delay + 1)
        if has_delays and bits(1):
            bits(4)
