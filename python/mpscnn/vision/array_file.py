"""Read photos from NumPy files: arrays of pixels that `numpy.save` wrote."""

from __future__ import annotations

import ast
import math
import os
import re
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import MAX_PIXELS, MAX_SIDE

__all__ = ["is_array_file", "read_array"]

SUFFIX = ".npy"
_CHANNELS = 4
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_MAX_HEADER_LENGTH = 10_000
_NUMBERS = re.compile("[<>|=]([ui][1248]|f[248])")


def is_array_file(path: Path) -> bool:
    """Return True if the file's suffix is .npy."""
    return path.suffix.lower() == SUFFIX


def read_array(file: IO[bytes]) -> NDArray[Any]:
    """Read the array of an open file. It never allocates more memory than the file has bytes.

    Raises ImageError if the array is damaged, incomplete, has Python objects, or more pixels than a photo may have.
    """
    shape, fortran, dtype = _header(file)
    too_many = math.prod(shape[:2]) > MAX_PIXELS or math.prod(shape) > MAX_PIXELS * _CHANNELS
    if too_many or max(shape, default=0) > MAX_SIDE:
        raise ImageError(
            f"has the shape {shape}; allowed are {MAX_PIXELS:,} pixels and {MAX_SIDE:,} at one side"
        )
    expected, found = math.prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
    if expected != found:
        raise ImageError(f"is damaged or cut off: {found:,} bytes of pixels, its header says {expected:,}")
    pixels = np.frombuffer(file.read(expected), dtype)
    return pixels.reshape(shape[::-1]).T if fortran else pixels.reshape(shape)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header: the shape, whether the order is Fortran's, and the type. NumPy's reader accepts too much."""
    beginning = file.read(len(_MAGIC) + 2)
    if not beginning.startswith(_MAGIC) or len(beginning) < len(_MAGIC) + 2:
        raise ImageError("is not a NumPy file")
    version = (beginning[-2], beginning[-1])
    if version not in _LENGTH_BYTES:
        raise ImageError(f"is a NumPy file of version {version[0]}.{version[1]}, 1.0 and 2.0 are read")
    length = int.from_bytes(file.read(_LENGTH_BYTES[version]), "little")
    if length > _MAX_HEADER_LENGTH:
        raise ImageError(
            f"is damaged: its header has {length:,} bytes, at most {_MAX_HEADER_LENGTH:,} are read"
        )
    try:
        described = ast.literal_eval(file.read(length).decode("latin1").strip())
        descr, fortran, shape = (described[key] for key in ("descr", "fortran_order", "shape"))
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise ImageError(f"is damaged: its header cannot be read: {error}") from error
    whole = isinstance(shape, tuple) and all(type(extent) is int and extent >= 0 for extent in shape)
    if not whole or not isinstance(fortran, bool):
        raise ImageError(f"is damaged: its header says shape {shape!r}, fortran_order {fortran!r}")
    if not isinstance(descr, str) or not _NUMBERS.fullmatch(descr):
        raise ImageError(f"holds {descr!r}, a photo has numbers")
    return shape, fortran, np.dtype(descr)
