"""Photos in NumPy's files: an array of pixels as `numpy.save` writes it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as numpy_format
from numpy.typing import NDArray

from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import MAX_PIXELS, MAX_SIDE

__all__ = ["is_array_file", "read_array"]

SUFFIX = ".npy"
_CHANNELS = 4
_HEADERS = {(1, 0): numpy_format.read_array_header_1_0, (2, 0): numpy_format.read_array_header_2_0}


def is_array_file(path: Path) -> bool:
    """Whether its name says that it holds an array."""
    return path.suffix.lower() == SUFFIX


def read_array(file: IO[bytes]) -> NDArray[Any]:
    """The array of an open file. No more memory is taken than the file has bytes.

    Raises ImageError: damaged, cut off, of Python objects, or of more pixels than a photo may have.
    """
    try:
        version = numpy_format.read_magic(file)
        if version not in _HEADERS:
            raise ImageError(f"is a NumPy file of version {version[0]}.{version[1]}, 1.0 and 2.0 are read")
        shape, fortran, dtype = _HEADERS[version](file)
    except (ValueError, EOFError, TypeError, SyntaxError, RecursionError) as error:
        raise ImageError(f"is not a NumPy file, or damaged: {error}") from error
    if dtype.kind not in "uif":
        raise ImageError(f"holds {dtype}, a photo has numbers")
    if math.prod(shape) > MAX_PIXELS * _CHANNELS or max(shape, default=0) > MAX_SIDE:
        raise ImageError(
            f"has the shape {shape}; allowed are {MAX_PIXELS:,} pixels and {MAX_SIDE:,} at one side"
        )
    expected, found = math.prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
    if expected != found:
        raise ImageError(f"is damaged or cut off: {found:,} bytes of pixels, its header says {expected:,}")
    pixels = np.frombuffer(file.read(expected), dtype)
    return pixels.reshape(shape[::-1]).T if fortran else pixels.reshape(shape)
