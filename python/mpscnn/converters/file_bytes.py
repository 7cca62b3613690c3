"""Bytes that are read when they are asked for, so that a file is not in memory next to the network made of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from mpscnn._private.files import reading, require_regular
from mpscnn.errors import WeightsError

# Formats put many small things next to one another, and refer to other places: some are read together and kept.
_BLOCK = 1 << 14
_MOST_BLOCKS = 64


class Content(Protocol):
    """The bytes of a file, wherever they are."""

    def __len__(self) -> int: ...

    def read(self, start: int, size: int) -> bytes:
        """Bytes from `start` on: fewer than `size` where the content ends."""
        ...


class MemoryBytes:
    """Bytes that are in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def read(self, start: int, size: int) -> bytes:
        """See `Content`."""
        return self._content[start : start + max(size, 0)]


class FileBytes:
    """The bytes of a regular file, of which only what is wanted is in memory, and a little around it.

    Args:
        path: the file. Raises WeightsError where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path, WeightsError):
            require_regular(path, WeightsError)
            self._size = path.stat().st_size
        self._offset = 0
        self._blocks: dict[int, bytes] = {}

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, size: int) -> bytes:
        """See `Content`. Raises WeightsError if they cannot be read."""
        size = max(min(size, self._size - start), 0)
        first, last = start // _BLOCK, (start + max(size, 1) - 1) // _BLOCK
        if last > first + 1:
            return self._from_file(start, size)
        content = b"".join(self._block(number) for number in range(first, last + 1))
        return content[start - first * _BLOCK :][:size]

    def _block(self, number: int) -> bytes:
        """Return a block of the file, of which the ones read last are kept."""
        block = self._blocks.pop(number, None)
        if block is None:
            begin = number * _BLOCK
            block = self._from_file(begin, max(min(_BLOCK, self._size - begin), 0))
            if len(self._blocks) == _MOST_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        self._blocks[number] = block
        return block

    def part(self, start: int, size: int) -> FileBytes:
        """A part that is read like a separate file."""
        part = FileBytes(self.path)
        part._offset, part._size = self._offset + start, max(min(size, self._size - start), 0)
        return part

    def _from_file(self, start: int, size: int) -> bytes:
        with reading(self.path, WeightsError), self.path.open("rb") as file:
            file.seek(self._offset + start, os.SEEK_SET)
            found = file.read(size)
        if len(found) != size:
            raise WeightsError(f"{self.path}: has become shorter while it was read")
        return found
