"""Find the sizes of the pictures that an AVIF or HEIF file codes. Decoders take memory for these.

The sizes that the file's boxes state may be others.

The boxes are those of ISO/IEC 14496-12 and 23008-12, the coded pictures those of the AV1 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Parts and headers may take _READINGS times the file's bytes, because several items may share some, and _FREE more.
# Each counts as _WORK bytes, because all of them may be empty.
_READINGS, _FREE, _WORK = 4, 1 << 20, 64
_CODED, _GRID = b"av01", b"grid"  # the types of items
_SEQUENCE_HEADER, _FRAME_HEADERS = 1, (3, 6)
_KEY, _SWITCH = 0, 3  # kinds of frames
_BY_FRAME = 2  # each frame states it, not the sequence
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
    """Return the widths and heights of frames in the items and the first samples, and the largest of each sequence.

    Those of grids are among them.

    Raises ValueError, IndexError, KeyError or struct.error if the file is damaged.
    """
    left, found = _READINGS * len(content) + _FREE, grid_sizes(content)
    for part in (*_items(content, _CODED), *_first_samples(content)):
        sequence: _Sequence | None = None
        for kind, unit in _units(part):
            left -= _WORK
            if left < 0:
                raise ValueError("it has very many parts")
            if kind == _SEQUENCE_HEADER:
                sequence = _sequence(unit)
                found.add(sequence.size)
            elif kind in _FRAME_HEADERS and sequence is not None and not sequence.is_still:
                found.add(_frame_size(sequence, unit))
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


def grid_sizes(content: bytes) -> set[tuple[int, int]]:
    """Return the widths and heights of grids, which consist of other items. Raises the errors of `coded_sizes`."""
    return {*map(_grid_size, _items(content, _GRID))}


def _grid_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II" if data[1] & 1 else ">HH", data, 4)
    return width, height


def _items(content: bytes, kind: bytes) -> Iterator[bytes]:
    """Yield the data of all items of a type."""
    for meta in _inner(content, b"meta"):
        wanted = set(_numbers_of(meta[4:], kind))
        inside = b"".join(_inner(meta[4:], b"idat")[:1])
        for places in _inner(meta[4:], b"iloc"):
            yield from _located(_Numbers(places), wanted, content, inside)


def _numbers_of(meta: bytes, kind: bytes) -> Iterator[int]:
    """Yield the numbers of items of a type."""
    for items in _inner(meta, b"iinf"):
        for entry in _inner(items[8 if items[0] else 6 :], b"infe"):
            wide = 4 if entry[0] == 3 else 2
            if entry[6 + wide : 10 + wide] == kind:
                yield int.from_bytes(entry[4 : 4 + wide], "big")


def _located(numbers: _Numbers, wanted: set[int], content: bytes, inside: bytes) -> Iterator[bytes]:
    """Yield the data of items by the table of their places."""
    version = numbers.bytes(1)
    numbers.bytes(3)
    offset, length, base, index = (numbers.bits(4) for _ in range(4))
    wide = 4 if version == 2 else 2
    left = _READINGS * len(content) + _FREE
    for _ in range(numbers.bytes(wide)):
        is_wanted = numbers.bytes(wide) in wanted
        source = content
        if version in (1, 2) and numbers.bytes(2) & 15 == 1:
            source = inside
        numbers.bytes(2)  # a reference to another file
        begin, parts = numbers.bytes(base), []
        for _ in range(numbers.bytes(2)):
            if version in (1, 2):
                numbers.bytes(index)
            start, size = begin + numbers.bytes(offset), numbers.bytes(length)
            part = (source[start : start + size] if size else source[start:]) if is_wanted else b""
            left -= len(part) + _WORK
            if left < 0:
                raise ValueError("its items refer to the same bytes again and again")
            parts.append(part)
        if is_wanted:
            yield b"".join(parts)


def _first_samples(content: bytes) -> Iterator[bytes]:
    """Yield the first sample of each track, which is the first frame of a sequence."""
    tables = _inner(content, b"moov")
    for name in _TO_SAMPLES:
        tables = [inner for one in tables for inner in _inner(one, name)]
    for table in tables:
        listed = [*_boxes(table)]
        boxes = dict(listed)
        if len(boxes) < len(listed) or {b"stco", b"co64"} <= boxes.keys():
            raise ValueError("a track has two tables of one kind")
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


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kinds and the beginnings of open bitstream units (OBU) in a row."""
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
        yield first >> 3 & 15, data[place : place + min(size, 1 << 12)]
        place += size


@dataclass(frozen=True)
class _Sequence:
    """The header of a sequence, as far as the sizes of its frames need it.

    Attributes:
        size: the largest width and height of a frame.
        is_still: whether its only frame is a picture of this size.
        bits: the bits of the width and height that a frame states.
        has_model: whether there is a model of the decoder.
        name_bits: the bits of a frame's name.
        order_bits: the bits of a frame's place in the order of frames.
        screen, motion: whether frames have tools for screens and whole motions: 0, 1 or `_BY_FRAME`.
    """

    size: tuple[int, int]
    is_still: bool
    bits: tuple[int, int]
    has_model: bool = False
    name_bits: int = 0
    order_bits: int = 0
    screen: int = 0
    motion: int = _BY_FRAME


def _sequence(header: bytes) -> _Sequence:
    numbers = _Numbers(header)
    bits = numbers.bits
    bits(4)
    is_still = bool(bits(1))
    if is_still:
        bits(5)
    has_model = not is_still and _skip_operating_points(numbers)
    width, height = bits(4) + 1, bits(4) + 1
    size = bits(width) + 1, bits(height) + 1
    if is_still:
        return _Sequence(size, is_still, (width, height))
    name_bits = bits(4) + bits(3) + 3 if bits(1) else 0
    bits(7)  # tools of blocks
    has_order = bits(1)
    bits(2 * has_order)
    screen = _BY_FRAME if bits(1) else bits(1)
    motion = _BY_FRAME if not screen or bits(1) else bits(1)
    order_bits = bits(3) + 1 if has_order else 0
    return _Sequence(size, is_still, (width, height), has_model, name_bits, order_bits, screen, motion)


def _frame_size(sequence: _Sequence, header: bytes) -> tuple[int, int]:
    """Return the width and height of a frame. Those of its sequence stand for those of frames before it.

    Raises ValueError for a size that may be much larger than the sequence states, in a frame of a rare kind.
    """
    bits = _Numbers(header).bits
    if bits(1):  # another frame is shown again
        return sequence.size
    kind, is_shown = bits(2), bits(1)
    bits(1 - is_shown)
    is_start = kind == _KEY and is_shown
    if not is_start and kind != _SWITCH:
        bits(1)
    bits(1)
    if (bits(1) if sequence.screen == _BY_FRAME else sequence.screen) and sequence.motion == _BY_FRAME:
        bits(1)
    bits(sequence.name_bits)
    if not sequence.has_model and kind != _SWITCH and not bits(1):
        return sequence.size
    if is_start and not sequence.has_model:
        bits(sequence.order_bits)
        return bits(sequence.bits[0]) + 1, bits(sequence.bits[1]) + 1
    for side, count in zip(sequence.size, sequence.bits, strict=True):
        if count > max((side - 1).bit_length(), 1):
            raise ValueError("a frame may be much larger than its sequence states")
    return sequence.size


def _skip_operating_points(numbers: _Numbers) -> bool:
    """Skip what a sequence header says about speeds. Return True if it has a model of the decoder."""
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
    return bool(delay)
