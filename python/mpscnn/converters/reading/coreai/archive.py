"""Unpack a Core AI asset that is in a zip archive (.aimodel.zip), as apps download it."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mpscnn._private.files import convert_read_errors, convert_write_errors, require_regular
from mpscnn._private.zip_members import member_pieces
from mpscnn.converters.opening.archives import ARCHIVE_ERRORS, entries_of
from mpscnn.converters.reading.coreai.asset import ASSET, DESCRIPTION, HASH, PROGRAM
from mpscnn.errors import Error, UnsupportedError, WeightsError

ARCHIVED = f"{ASSET}.zip"
_FREE_BYTES, _BYTES_PER_BYTE = 64 << 20, 20  # the maximum size of the unpacked files
_MAX_ENTRIES = 1000
_OTHER_DATA = "__MACOSX"  # the folder in which macOS keeps attributes of files


def is_archived(path: Path) -> bool:
    """Return True if the name of a file is that of an archived asset."""
    return path.name.lower().endswith(ARCHIVED)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a temporary folder with the files of the only asset in an archive. Other files stay in the archive.

    Raises UnsupportedError for an archive with no asset or several; WeightsError if it is damaged, cannot be read, or
    unpacks to much more bytes than it has, or if the folder cannot be written.
    """
    with convert_read_errors(path, WeightsError):
        require_regular(path, WeightsError)
        size = path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="mpscnn-") as folder:
        root = Path(folder, path.name[: -len(ARCHIVED)] + ASSET)
        try:
            with zipfile.ZipFile(path) as archive:
                found = _entries(archive, path)
                total = sum(entry.file_size for entry in found.values())
                if total > _FREE_BYTES + _BYTES_PER_BYTE * size:
                    raise WeightsError(
                        f"{path}: unpacks to {total:,} bytes, which is much for an archive of {size:,}"
                    )
                for name, entry in found.items():
                    _write(archive, entry, root / name)
        except Error:
            raise
        except ARCHIVE_ERRORS as error:
            raise WeightsError(f"damaged: {path}: {error}") from error
        try:
            yield root
        except Error as error:  # users know the archive, and not the temporary folder
            raise type(error)(str(error).replace(str(root), str(path))) from error


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the files of the only asset by their names in its folder."""
    if len(archive.infolist()) > _MAX_ENTRIES:
        raise UnsupportedError(
            f"{path}: has more than {_MAX_ENTRIES} entries: give the asset ({ASSET}) in it"
        )
    named = {PurePosixPath(name): entry for name, entry in entries_of(archive).items()}
    roots = [one.parent for one in named if one.name == PROGRAM and one.parts[0] != _OTHER_DATA]
    if len(roots) != 1:
        raise UnsupportedError(
            f"{path}: has {len(roots)} Core AI assets, each with a {PROGRAM}; supported is an archive of one"
        )
    names = (PROGRAM, HASH, DESCRIPTION)
    return {name: named[roots[0] / name] for name in names if roots[0] / name in named}


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Unpack a file."""
    with convert_write_errors(target, WeightsError):
        target.parent.mkdir(exist_ok=True)
        target.touch()
    try:
        for piece in member_pieces(archive, entry):
            with convert_write_errors(target, WeightsError), target.open("ab") as made:
                made.write(piece)
    except UnsupportedError as error:
        raise UnsupportedError(f"{archive.filename}: {error}") from error
