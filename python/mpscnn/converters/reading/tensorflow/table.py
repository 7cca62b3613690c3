"""Read the sorted table of a checkpoint's index: blocks of keys and values, in the format of LevelDB."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mpscnn.converters.opening import varints
from mpscnn.converters.opening.file_bytes import Content
from mpscnn.converters.reading.tensorflow.snappy import decompress
from mpscnn.errors import UnsupportedError, WeightsError

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_TRAILER = 5  # bytes after a block: the kind of compression, and a checksum
_SNAPPY = 1  # a kind of compression
_COUNT = 4  # bytes of the number at the end of a block
# The allowed entries: a fixed number, and one for each four bytes of the file. An entry has a checksum of four bytes,
# which no compression shortens.
_ENTRIES_FREE, _BYTES_PER_ENTRY = 1_024, 4
# The allowed bytes of decompressed blocks for each byte of the file. Only names are compressed, not numbers.
_MAX_UNPACKED = 8
# The allowed bytes of all keys together: a fixed number, and a number for each byte of the file. The file stores a key
# without the beginning that it shares with the key before it.
_KEYS_FREE, _KEYS_PER_BYTE = 1 << 20, 32


def entries(content: Content) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table in their order.

    Raises WeightsError for a damaged table, and UnsupportedError for one that is not compressed by Snappy.
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
    count, read, keys = 0, 0, 0
    unpacked = _MAX_UNPACKED * size
    last: bytes | None = None
    for _, place in _entries(_block(content, start, length)):
        first, after = _varint(place, 0)
        inner, _ = _varint(place, after)
        read += inner
        if read > size:
            raise WeightsError("damaged: blocks of the index overlap")
        block = _block(content, first, inner)
        unpacked -= len(block)
        if unpacked < 0:
            raise WeightsError(
                f"damaged: the index has more than {_MAX_UNPACKED} times its size when it is unpacked"
            )
        for entry in _entries(block):
            count += 1
            keys += len(entry[0])
            if count > _ENTRIES_FREE + size // _BYTES_PER_ENTRY or keys > _KEYS_FREE + _KEYS_PER_BYTE * size:
                raise WeightsError(f"damaged: {count} entries with {keys} bytes of names in the index")
            if last is not None and entry[0] <= last:
                raise WeightsError("damaged: the names in the index are repeated or not sorted")
            last = entry[0]
            yield entry


def _block(content: Content, start: int, length: int) -> bytes:
    """Return the content of a block."""
    if start + length + _TRAILER > len(content):
        raise WeightsError("damaged: a block of the index ends after the file")
    block = content.read(start, length + _TRAILER)
    kind, block = block[length], block[:length]
    if kind == _SNAPPY:
        return decompress(block)
    if kind != 0:
        raise UnsupportedError(
            f"the index is compressed in the way {kind}, which is not supported: save the checkpoint again"
        )
    return block


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block."""
    length = len(block)
    if length < _COUNT:
        raise WeightsError("damaged: a block of the index contradicts itself")
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
        return varints.decode(content, position)
    except ValueError as error:
        raise WeightsError("damaged: a number in the index does not end") from error
