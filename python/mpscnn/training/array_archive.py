"""Write archives of arrays (.npz), and read them from untrusted sources.

Each member is checked before its memory is allocated.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors, require_regular
from mpscnn._private.npy_file import read_header
from mpscnn._private.zip_members import member_pieces
from mpscnn.errors import WeightsError

_SUFFIX = ".npy"
# The arrays of an archive may take _MAX_UNPACKED times the bytes of its file, and _ALWAYS bytes more.
_MAX_UNPACKED, _ALWAYS = 16, 1 << 20
_MAX_HEADER = 1 << 14


def write_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers by name. All versions of NumPy write the same members, and any name is allowed."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(name + _SUFFIX, "w", force_zip64=True) as member:
                np.save(member, np.asarray(array), allow_pickle=False)


def read_arrays(path: Path, is_known: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by name.

    Args:
        path: the file.
        is_known: returns whether the archive may have an array with this name.

    Raises:
        WeightsError: an array has an unknown name, occurs twice, has a header that does not fit its data, or is not
            numeric; all arrays take far more memory than the file; or the archive is damaged.
    """
    require_regular(path, WeightsError)
    try:
        return _read(path, is_known)
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # the modules zipfile, bz2 and zlib raise many kinds, also OSError for damage
        raise WeightsError(str(error)) from error


def _read(path: Path, is_known: Callable[[str], bool]) -> dict[str, NDArray[Any]]:
    left = _MAX_UNPACKED * path.stat().st_size + _ALWAYS
    arrays: dict[str, NDArray[Any]] = {}
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(_SUFFIX)
            if name == entry.filename or name in arrays or not is_known(name):
                raise WeightsError(f"its member {entry.filename[:120]!r} is unknown, or there twice")
            left -= entry.file_size
            if left < 0:
                raise WeightsError(
                    f"its arrays would take more than {_MAX_UNPACKED} times the file's size: "
                    f"{entry.filename[:120]!r} claims {entry.file_size} bytes"
                )
            arrays[name] = _array(entry.filename, member_pieces(archive, entry), entry.file_size)
    return arrays


def require_readable(path: Path) -> None:
    """Raise a WeightsError if a file is missing or cannot be opened, so that it is not reported as damaged."""
    with convert_read_errors(path, WeightsError):
        require_regular(path, WeightsError)
        path.open("rb").close()


def _array(name: str, pieces: Iterator[bytes], size: int) -> NDArray[Any]:
    """Read one array. Its header must describe all bytes of the member."""
    content = bytearray(size)
    place = 0
    for piece in pieces:
        content[place : place + len(piece)] = piece
        place += len(piece)
    stream = io.BytesIO(bytes(content[:_MAX_HEADER]))
    try:
        header = read_header(stream)
    except ValueError as error:
        raise WeightsError(f"its member {name[:120]!r} {error}") from error
    begin = stream.tell()
    if begin + header.size != size:
        raise WeightsError(
            f"its member {name[:120]!r} is {header.dtype} {header.shape[:8]}, but has {size} bytes"
        )
    flat = np.frombuffer(content, header.dtype, offset=begin)
    return flat.reshape(header.shape, order="F" if header.is_fortran else "C")
