"""Read NumPy files (.npy) from untrusted sources. NumPy's own reader raises errors of all kinds for damaged ones."""

from __future__ import annotations

import ast
import math
import os
import re
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors, require_regular
from mpscnn.errors import Error

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_MAX_LENGTH = 10_000
_MAX_AXES = 32  # NumPy 1 has no arrays with more
_NUMBERS = re.compile("[<>|=](b1|[ui][1248]|f[248])")


class NpyHeader(NamedTuple):
    """The type and the extents of an array in a file."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """The bytes of the elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> NpyHeader:
    """Read a header. The elements follow in the file. The extents may claim any size.

    Raises ValueError with the rest of a sentence about the file: it is damaged, or has other elements than numbers.
    """
    beginning = file.read(len(_MAGIC) + 2)
    if not beginning.startswith(_MAGIC) or len(beginning) < len(_MAGIC) + 2:
        raise ValueError("is not a NumPy file")
    version = (beginning[-2], beginning[-1])
    if version not in _LENGTH_BYTES:
        raise ValueError(f"is a NumPy file of version {version[0]}.{version[1]}, 1.0 and 2.0 are read")
    length = int.from_bytes(file.read(_LENGTH_BYTES[version]), "little")
    if length > _MAX_LENGTH:
        raise ValueError(f"is damaged: its header has {length:,} bytes, at most {_MAX_LENGTH:,} are read")
    try:
        described = ast.literal_eval(file.read(length).decode("latin1").strip())
        descr, fortran, shape = (described[key] for key in ("descr", "fortran_order", "shape"))
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise ValueError(f"is damaged: its header cannot be read: {error}") from error
    whole = isinstance(shape, tuple) and all(type(extent) is int and extent >= 0 for extent in shape)
    if not whole or not isinstance(fortran, bool):
        raise ValueError(f"is damaged: its header says shape {shape!r}, fortran_order {fortran!r}")
    if len(shape) > _MAX_AXES:
        raise ValueError(f"has {len(shape)} axes, at most {_MAX_AXES} are read")
    if not isinstance(descr, str) or not _NUMBERS.fullmatch(descr):
        raise ValueError(f"holds {descr!r}, not numbers")
    return NpyHeader(shape, fortran, np.dtype(descr))


def require_size(header: NpyHeader, file: IO[bytes]) -> None:
    """Raise ValueError if the rest of an open file is not as large as its header says."""
    found = os.fstat(file.fileno()).st_size - file.tell()
    if header.size != found:
        raise ValueError(
            f"is damaged or cut off: its elements have {found:,} bytes, its header says {header.size:,}"
        )


def map_array(path: Path, kind: type[Error]) -> NDArray[Any]:
    """Map the array of a file, so that only the used parts are in memory.

    Raises an error of `kind` that names the file if it cannot be read, is damaged, or does not hold numbers.
    """
    with convert_read_errors(path, kind):
        require_regular(path, kind)
        with path.open("rb") as file:
            try:
                header = read_header(file)
                require_size(header, file)
                place = file.tell()
            except ValueError as error:
                raise kind(f"{path}: {error}") from error
        order: Literal["C", "F"] = "F" if header.is_fortran else "C"
        mapped: NDArray[Any] = np.memmap(path, header.dtype, "r", place, header.shape, order)
        return mapped
