"""Frames of bytes that a process and its confined child send to each other: a kind, a length, and the bytes."""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct("<BQ")
#: The kinds of frames that the child sends.
READY, RESULT, FAILURE = 1, 2, 3
#: The kind of frames that the parent sends.
REQUEST = 4


def read_exactly(descriptor: int, size: int) -> bytes:
    """Read bytes, and wait for them. Raises EOFError if the other side closes the pipe first."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def write_fully(descriptor: int, content: bytes) -> None:
    """Write all bytes, and wait until the other side has room for them."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
