"""Read photos from NumPy files: arrays of pixels that `numpy.save` wrote."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.npy_file import read_header, require_size
from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import MAX_PIXELS, MAX_SIDE

SUFFIX = ".npy"
_CHANNELS = 4


def is_array_file(path: Path) -> bool:
    """Return True if the file's suffix is .npy."""
    return path.suffix.lower() == SUFFIX


def read_array(file: IO[bytes]) -> NDArray[Any]:
    """Read the array of an open file. It never allocates more memory than the file has bytes.

    Raises ImageError if the array is damaged, incomplete, has Python objects, or more pixels than a photo may have.
    """
    try:
        header = read_header(file)
        shape = header.shape
        too_many = math.prod(shape[:2]) > MAX_PIXELS or math.prod(shape) > MAX_PIXELS * _CHANNELS
        if too_many or max(shape, default=0) > MAX_SIDE:
            raise ValueError(
                f"has the shape {shape}; allowed are {MAX_PIXELS:,} pixels and {MAX_SIDE:,} at one side"
            )
        require_size(header, file)
    except ValueError as error:
        raise ImageError(str(error)) from error
    pixels = np.frombuffer(file.read(header.size), header.dtype)
    return pixels.reshape(shape[::-1]).T if header.is_fortran else pixels.reshape(shape)
