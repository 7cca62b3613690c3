"""Read weights from a file only when they are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.file_bytes import FileBytes

Array = NDArray[np.float32]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """The position of an array of numbers in a file.

    Attributes:
        content: the file.
        begin, size: the first byte, and the number of bytes.
        dtype: the type of the numbers.
    """

    content: FileBytes
    begin: int
    size: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Blob:
    """A weight: an array in memory, or its position in a file."""

    shape: Shape
    numbers: Array | Place
    """The elements in row-major order of the shape."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def reshaped(self, *shape: int) -> Blob:
        """Return the weight with another shape, in which one extent may be -1."""
        rest = math.prod(extent for extent in shape if extent != -1)
        return Blob(tuple(self.size // rest if extent == -1 else extent for extent in shape), self.numbers)

    def array(self) -> Array:
        """Return the elements as an array, reading the file if necessary. Raises WeightsError if that fails."""
        if isinstance(self.numbers, Place):
            content = self.numbers.content.read(self.numbers.begin, self.numbers.size)
            return (
                np.frombuffer(content, self.numbers.dtype).astype(np.float32, copy=False).reshape(self.shape)
            )
        return self.numbers.reshape(self.shape)
