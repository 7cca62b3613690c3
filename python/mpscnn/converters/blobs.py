"""Weights of a file that are read when they are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.file_bytes import FileBytes

Array = NDArray[np.float32]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Numbers in a file.

    Attributes:
        begin, size: in bytes.
    """

    content: FileBytes
    begin: int
    size: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Blob:
    """A weight."""

    shape: Shape
    numbers: Array | Place
    """In the order of the shape."""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def reshaped(self, *shape: int) -> Blob:
        """Return the same numbers in another shape, of which one extent may be -1."""
        rest = math.prod(extent for extent in shape if extent != -1)
        return Blob(tuple(self.size // rest if extent == -1 else extent for extent in shape), self.numbers)

    def array(self) -> Array:
        """Its numbers, which are read from the file if they are there. Raises WeightsError if that fails."""
        if isinstance(self.numbers, Place):
            content = self.numbers.content.read(self.numbers.begin, self.numbers.size)
            return (
                np.frombuffer(content, self.numbers.dtype).astype(np.float32, copy=False).reshape(self.shape)
            )
        return self.numbers.reshape(self.shape)
