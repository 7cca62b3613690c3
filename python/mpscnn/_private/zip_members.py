"""Unpack the files of zip archives from untrusted sources piece by piece, in memory in proportion to their size.

The module zipfile limits a read of a member only if it is stored or deflated. From bzip2 it makes gigabytes from a
kilobyte at once, and LZMA takes as much memory as the member's header claims.
"""

from __future__ import annotations

import copy
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

from mpscnn.errors import UnsupportedError

_PIECE = 1 << 20
_LZMA_PREFIX, _LZMA_PROPERTIES = struct.Struct("<2xH"), struct.Struct("<BI")
_UNKNOWN_SIZE = b"\xff" * 8


class _Decompressor(Protocol):
    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def member_pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the content of a file in an archive: `entry.file_size` bytes, in pieces of at most a megabyte.

    The caller limits `entry.file_size`, which the archive states.

    Raises:
        UnsupportedError: the file is packed by another method than deflate, bzip2 and LZMA, or by one that this Python
            lacks.
        Exception: the archive is damaged; zipfile, zlib, bz2 and lzma raise errors of several kinds.
    """
    method = entry.compress_type
    if method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with archive.open(entry) as member:
            yield from _of_size(iter(lambda: member.read(_PIECE), b""), entry.file_size)
    elif method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with archive.open(_as_stored(entry)) as packed:
            checksum = 0
            for piece in _of_size(_unpacked(packed, entry), entry.file_size):
                checksum = zlib.crc32(piece, checksum)
                yield piece
            if checksum != entry.CRC:
                raise zipfile.BadZipFile(f"Bad CRC-32 for file {entry.filename[:120]!r}")
    else:
        raise UnsupportedError(
            f"{entry.filename[:120]!r} is packed by the method {method} of zip archives, which is not supported: "
            "unpack the archive, and pack its files by `zip`"
        )


def _of_size(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        size -= len(piece)
    if size:
        raise EOFError(f"{size:,} bytes of a packed file are missing")


def _as_stored(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return an entry that zipfile reads without unpacking it, and without its checksum, which is of the content."""
    stored = copy.copy(entry)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, entry.compress_size
    del stored.CRC
    return stored


def _unpacked(packed: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield at most the bytes that the entry claims."""
    left, data = entry.file_size, b""
    try:
        if entry.compress_type == zipfile.ZIP_LZMA:
            import lzma

            decompressor: _Decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
            data = _lzma_header(packed, left)
        else:
            import bz2

            decompressor = bz2.BZ2Decompressor()
    except ImportError as error:
        raise UnsupportedError(
            f"{entry.filename[:120]!r} needs a module that this Python lacks: {error}"
        ) from error
    while left:
        if not data and decompressor.needs_input and not (data := packed.read(_PIECE)):
            return
        piece = decompressor.decompress(data, min(left, _PIECE))
        data = b""
        left -= len(piece)
        if piece:
            yield piece


def _lzma_header(packed: IO[bytes], size: int) -> bytes:
    """Return the header of a .lzma file for a member of `size` bytes, without more dictionary than it can use."""
    prefix = packed.read(_LZMA_PREFIX.size)
    length = _LZMA_PREFIX.unpack(prefix)[0] if len(prefix) == _LZMA_PREFIX.size else 0
    properties = packed.read(_LZMA_PROPERTIES.size)
    if length != _LZMA_PROPERTIES.size or len(properties) < length:
        raise zipfile.BadZipFile("the header of its LZMA data is damaged")
    coding, dictionary = _LZMA_PROPERTIES.unpack(properties)
    return _LZMA_PROPERTIES.pack(coding, min(dictionary, size)) + _UNKNOWN_SIZE
