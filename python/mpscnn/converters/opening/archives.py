"""List the errors of the module zipfile for damaged archives, and find the position of a file in a zip archive."""

from __future__ import annotations

import struct
import zipfile
import zlib

from mpscnn.converters.opening.file_bytes import Content
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import WeightsError

try:
    from lzma import LZMAError

    _LZMA_ERRORS: tuple[type[Exception], ...] = (LZMAError,)
except ImportError:  # some Pythons are built without lzma, and zipfile then raises a RuntimeError
    _LZMA_ERRORS = ()

_LOCAL_HEADER, _HEADER_SIZE = b"PK\x03\x04", 30

#: All errors that the module zipfile raises for damaged archives. Its documentation names only some of them.
ARCHIVE_ERRORS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    *_LZMA_ERRORS,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def entries_of(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive by name.

    Raises BadZipFile if two have the same name, because programs differ in which one they read.
    """
    named: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if entry.filename in named:
            raise zipfile.BadZipFile(f"two of its entries have the name {quote_name(entry.filename)}")
        named[entry.filename] = entry
    return named


def data_offset(content: Content, entry: zipfile.ZipInfo) -> int:
    """Return the position in the archive of the first byte of an uncompressed entry.

    Raises WeightsError if no file header is at the place that the archive's directory states.
    """
    header = content.read(entry.header_offset, _HEADER_SIZE)
    if len(header) < _HEADER_SIZE or not header.startswith(_LOCAL_HEADER):
        raise WeightsError(f"damaged: {quote_name(entry.filename)} does not begin where the archive says")
    return int(entry.header_offset + _HEADER_SIZE + sum(struct.unpack("<HH", header[26:])))
