"""Keep converted model files in the cache with checksums, so that damaged ones are noticed and made again."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from mpscnn._private.files import convert_read_errors
from mpscnn._private.given_warnings import warn_caller
from mpscnn.errors import WeightsError
from mpscnn.registry.cache import first_file, replace_file

_CHUNK = 1 << 20


def is_intact(path: Path) -> bool:
    """Return True if a file exists and has the checksum that `replace_converted` wrote next to it."""
    checksum = _checksum_path(path)
    if not first_file([path]) or not first_file([checksum]):
        return False
    with convert_read_errors(checksum, WeightsError), checksum.open("rb") as stream:
        stated = stream.read(_CHUNK)
        return stated.startswith(b"%d bytes" % path.stat().st_size) and stated == _checksum(path)


def warn_of_damage(path: Path) -> None:
    """Warn if a file and its checksum exist. Call it when the file is not intact, before it is made again.

    A file without a checksum is not known to be damaged: another version of mpscnn may have made it.
    """
    if first_file([path]) and first_file([_checksum_path(path)]):
        warn_caller(f"{path}: is damaged, so it is made again")


@contextlib.contextmanager
def replace_converted(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file, which replaces `path` when the block succeeds, and write its checksum.

    The caller must hold the lock of `path`.
    """
    with replace_file(path) as temporary:
        yield temporary
        # If the process ends between the two replacements, the checksum does not fit, and the file is made again.
        with replace_file(_checksum_path(path)) as text:
            text.write_bytes(_checksum(temporary))


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".crc32")


def _checksum(path: Path) -> bytes:
    """Return a text with the size and CRC-32 of a file. It is for accidents and shows no changes by an attacker."""
    crc = size = 0
    with convert_read_errors(path, WeightsError), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
    return f"{size} bytes, CRC-32 {crc:08x}\n".encode()
