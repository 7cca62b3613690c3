"""Read the sorted table of a checkpoint's index: blocks of keys and values, in the format of LevelDB."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mpscnn.converters import varints
from mpscnn.converters.file_bytes import Content
from mpscnn.errors import UnsupportedError, WeightsError

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_TRAILER = 5  # bytes after a block: the kind of compression, and a checksum
_MAX_ENTRIES = 1_000_000


def entries(content: Content) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table in their order.

    Raises WeightsError for a damaged table, and UnsupportedError for a compressed one.
    """
    size = len(content)
    footer = content.read(size - _FOOTER, _FOOTER) if size >= _FOOTER else b""
    if len(footer) != _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise WeightsError("is not the index of a checkpoint: its end is missing")
    position = 0
    for _ in range(2):  # skip offset and size of the metaindex block
        _, position = _varint(footer, position)
    start, position = _varint(footer, position)
    length, _ = _varint(footer, position)
    count, read = 0, 0
    for _, place in _block(content, start, length):
        first, after = _varint(place, 0)
        inner, _ = _varint(place, after)
        read += inner
        if read > size:
            raise WeightsError("damaged: blocks of the index overlap")
        for entry in _block(content, first, inner):
            count += 1
            if count > _MAX_ENTRIES:
                raise WeightsError(f"damaged: more than {_MAX_ENTRIES} entries in the index")
            yield entry


def _block(content: Content, start: int, length: int) -> Iterator[tuple[bytes, bytes]]:
    block = content.read(start, length + _TRAILER)
    if len(block) != length + _TRAILER or length < 4:
        raise WeightsError("damaged: a block of the index ends after the file")
    if block[length] != 0:
        raise UnsupportedError("the index is compressed, which is not supported: save the checkpoint again")
    restarts = struct.unpack("<I", block[length - 4 : length])[0]
    end = length - 4 * (restarts + 1)
    if end < 0:
        raise WeightsError("damaged: a block of the index contradicts itself")
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        size, position = _varint(block, position)
        if shared > len(key) or position + own + size > end:
            raise WeightsError("damaged: an entry of the index ends after its block")
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + size]
        position += size


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    try:
        return varints.decoded(content, position)
    except ValueError as error:
        raise WeightsError("damaged: a number in the index does not end") from error
