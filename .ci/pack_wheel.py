"""Compresses wheels as far as deflate goes, which any installer reads: 4 % smaller than as they were built.

    python .ci/pack_wheel.py WHEEL...

Needs the package `zopfli`. Replaces each wheel; names, contents, permissions and order stay.
"""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

import zopfli.zlib

VERSION = 20  # of the format, the one with deflate
UNIX = 3  # whose permissions the entries have


def deflated(data: bytes) -> bytes:
    """The stream between the two bytes before it and the checksum behind it, as zip files want it."""
    return bytes(zopfli.zlib.compress(data, blocksplittingmax=0))[2:-4]  # 0: as many blocks as pay


def entry_fields(entry: zipfile.ZipInfo, method: int, packed: bytes) -> tuple[bytes, bytes]:
    """What local header and directory have in common, and the name."""
    name = entry.filename.encode()
    year, month, day, hour, minute, second = entry.date_time
    fields = struct.pack(
        "<5H3I2H",
        VERSION,
        0 if entry.filename.isascii() else 0x800,  # names are UTF-8
        method,
        hour << 11 | minute << 5 | second // 2,
        (year - 1980) << 9 | month << 5 | day,
        entry.CRC,
        len(packed),
        entry.file_size,
        len(name),
        0,
    )
    return fields, name


def packed_wheel(archive: zipfile.ZipFile) -> bytes:
    """All of the archive's entries, each in the smaller of its two forms."""
    content, directory = bytearray(), bytearray()
    entries = archive.infolist()
    for entry in entries:
        data = archive.read(entry)
        packed = deflated(data)
        method = zipfile.ZIP_DEFLATED
        if len(packed) >= len(data):
            packed, method = data, zipfile.ZIP_STORED
        fields, name = entry_fields(entry, method, packed)
        directory += struct.pack("<4s2B", b"PK\1\2", VERSION, UNIX) + fields
        directory += struct.pack("<3H2I", 0, 0, 0, entry.external_attr, len(content)) + name
        content += b"PK\3\4" + fields + name + packed
    count = len(entries)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(content), 0)
    return bytes(content + directory + end)


def main() -> None:
    """Reads the command line."""
    for wheel in map(Path, sys.argv[1:]):
        with zipfile.ZipFile(wheel) as archive:
            packed = packed_wheel(archive)
        print(f"{wheel.name}: {wheel.stat().st_size} bytes become {len(packed)}")
        wheel.write_bytes(packed)


if __name__ == "__main__":
    main()
