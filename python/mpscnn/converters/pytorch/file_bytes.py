"""A file whose bytes are read when they are asked for, so that it is not in memory beside the network made of it."""

from __future__ import annotations

import os
from pathlib import Path

from mpscnn._private.files import reading, require_regular
from mpscnn.errors import WeightsError


class FileBytes:
    """The bytes of a regular file, of which only what is wanted is in memory.

    Args:
        path: the file. Raises WeightsError where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path, WeightsError):
            require_regular(path, WeightsError)
            self._size = path.stat().st_size

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, size: int) -> bytes:
        """Bytes from `start` on: fewer than `size` where the file ends. Raises WeightsError if they cannot be read."""
        size = max(min(size, self._size - start), 0)
        with reading(self.path, WeightsError), self.path.open("rb") as file:
            file.seek(start, os.SEEK_SET)
            found = file.read(size)
        if len(found) != size:
            raise WeightsError(f"{self.path}: has become shorter while it was read")
        return found
