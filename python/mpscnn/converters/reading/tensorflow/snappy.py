"""Decompress blocks in the format of Snappy (github.com/google/snappy, format_description.txt)."""

from __future__ import annotations

from mpscnn.converters.opening import varints
from mpscnn.errors import WeightsError

#: The kinds of elements, by the two lowest bits of their tag.
_LITERAL, _SHORT_COPY = 0, 1
#: A literal of up to this number of bytes states its length in the tag. Longer ones have one to four more bytes.
_LITERAL_IN_TAG = 60
#: A copy of 64 bytes takes three bytes, so no block grows more than this.
_MAX_GROWTH = 22


def decompress(block: bytes) -> bytes:
    """Return the content of a block. Raises WeightsError if it is damaged."""
    try:
        size, position = varints.decode(block, 0)
        if size > _MAX_GROWTH * len(block):
            raise ValueError
        made = bytearray()
        while position < len(block):
            position = _add(block, position, made)
            if len(made) > size:
                raise ValueError
    except (IndexError, ValueError):
        raise WeightsError("damaged: a compressed block of the index contradicts itself") from None
    if len(made) != size:
        raise WeightsError("damaged: a compressed block of the index ends too early")
    return bytes(made)


def _add(block: bytes, position: int, made: bytearray) -> int:
    """Append the element at a position, and return the position after it."""
    tag = block[position]
    kind, position = tag & 3, position + 1
    if kind == _LITERAL:
        length = (tag >> 2) + 1
        if length > _LITERAL_IN_TAG:
            width = length - _LITERAL_IN_TAG
            length, position = _number(block, position, width) + 1, position + width
        if position + length > len(block):
            raise ValueError
        made += block[position : position + length]
        return position + length
    if kind == _SHORT_COPY:
        length, offset, width = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[position], 1
    else:
        length, width = (tag >> 2) + 1, 2 * (kind - 1)
        offset = _number(block, position, width)
    if not 1 <= offset <= len(made):
        raise ValueError
    # A copy that reaches beyond the end repeats its own first bytes.
    start = len(made) - offset
    part = bytes(made[start : start + length])
    made += (part * (length // len(part) + 1))[:length]
    return position + width


def _number(block: bytes, position: int, width: int) -> int:
    if position + width > len(block):
        raise ValueError
    return int.from_bytes(block[position : position + width], "little")
