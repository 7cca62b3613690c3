"""Read parts of a file on demand, so that the file and its network are not in memory at the same time.

A file that a model names is read only if it belongs to the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from mpscnn._private.files import convert_read_errors, real_path, require_regular
from mpscnn.errors import WeightsError

# Formats have many small structures next to one another, so the file is read in blocks, and some blocks are kept.
_BLOCK = 1 << 14
_MAX_BLOCKS = 64
#: The number of characters in the longest path that systems open. Following a longer one takes quadratic time.
MAX_PATH = 4096


class Content(Protocol):
    """The bytes of a file, in memory or on disk."""

    def __len__(self) -> int: ...

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, or fewer at the end of the content."""
        ...

    def part(self, start: int, size: int) -> Content:
        """Return a part of the content, with positions relative to the part's start."""
        ...


class MemoryBytes:
    """Bytes that are in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, or fewer at the end."""
        return self._content[start : start + max(size, 0)]

    def part(self, start: int, size: int) -> MemoryBytes:
        """Return a part of the bytes, with positions relative to the part's start."""
        return MemoryBytes(self.read(start, size))


class FileBytes:
    """The bytes of a regular file. Only the blocks that were read last are in memory.

    Args:
        path: the file. Raises WeightsError if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with convert_read_errors(path, WeightsError):
            require_regular(path, WeightsError)
            self._size = path.stat().st_size
        self._offset = 0
        self._blocks: dict[int, bytes] = {}

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, or fewer at the end. Raises WeightsError if they cannot be read."""
        size = min(size, self._size - start)
        if size <= 0:
            return b""
        first, last = start // _BLOCK, (start + size - 1) // _BLOCK
        if last > first + 1:
            return self._from_file(start, size)
        content = b"".join(self._block(number) for number in range(first, last + 1))
        return content[start - first * _BLOCK :][:size]

    def _block(self, number: int) -> bytes:
        """Return a block of the file, from memory or disk. The most recently used blocks stay in memory (LRU cache)."""
        block = self._blocks.pop(number, None)
        if block is None:
            begin = number * _BLOCK
            block = self._from_file(begin, max(min(_BLOCK, self._size - begin), 0))
            if len(self._blocks) == _MAX_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        self._blocks[number] = block
        return block

    def part(self, start: int, size: int) -> FileBytes:
        """Return a part of the file as an object of this class, with positions relative to the part's start."""
        part = FileBytes(self.path)
        part._offset, part._size = self._offset + start, max(min(size, self._size - start), 0)
        return part

    def _from_file(self, start: int, size: int) -> bytes:
        with convert_read_errors(self.path, WeightsError), self.path.open("rb") as file:
            file.seek(self._offset + start, os.SEEK_SET)
            found = file.read(size)
        if len(found) != size:
            raise WeightsError(f"{self.path}: has become shorter while it was read")
        return found


def total_size(files: Iterable[Path]) -> int:
    """Return the bytes of files that a network is read from. Raises WeightsError for files that cannot be read."""
    return sum(len(FileBytes(path)) for path in files)


def is_in_own_folder(path: Path, folder: Path, main: Path) -> bool:
    """Return True if a file is in the folder of its model, also after symbolic links are followed.

    Download caches keep the files of all models in one folder, and a model's folder has links to them. So a file that
    is in the same folder as the target of `main` belongs to the model, too.

    Args:
        path: the file.
        folder: the folder of the model.
        main: the file of the model that names the others.
    """
    if len(os.fspath(path)) > MAX_PATH:
        return False
    try:
        real = real_path(path)
    except OSError:  # no file can be opened by such a chain of links
        return False
    folders = {real_path(folder), os.path.dirname(real_path(main))}  # noqa: PTH120
    return any(os.path.commonpath([one, real]) == one for one in folders)
