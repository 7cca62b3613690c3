"""Read and write files, and report failures as errors of mpscnn that name the file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mpscnn.errors import Error

#: No text contains these bytes. In UTF-32 up to five zero bytes follow one another.
_NO_TEXT = bytes(8)
_BLOCK = 1 << 20
#: A file of any size may have holes of _FREE_HOLES bytes, and _HOLE_PER_BYTE bytes for each byte that the disk holds.
_FREE_HOLES, _HOLE_PER_BYTE = 64 << 20, 15
#: The unit of st_blocks on all systems that have it.
_DISK_BLOCK = 512


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return True if the path is a folder.

    Unlike Path.is_dir, this and the next functions never raise, such as for impossible names and unreadable folders.
    """
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return True if the path is a regular file that can be found."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: str | os.PathLike[str]) -> bool:
    """Return True if the path can be found."""
    return os.path.exists(path)  # noqa: PTH110


def size_on_disk(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = [file for file in path.rglob("*") if is_file(file)] if is_folder(path) else [path]
    return sum(file.stat().st_size for file in files)


def real_path(path: str | os.PathLike[str]) -> str:
    """Return the path without links. Raise OSError if Python cannot follow a long chain of links."""
    try:
        return os.path.realpath(path)
    except RecursionError:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None


def read_content(
    path: str | os.PathLike[str], kind: type[Error], maximum: int | None = None, *, is_text: bool = False
) -> bytes:
    """Return the bytes of a regular file.

    Raises an error of `kind` that names the file if it cannot be read, has more than `maximum` bytes, or is not a text
    although `is_text`: it has zero bytes. A text is read up to the first of them only.
    """
    with convert_read_errors(path, kind):
        require_regular(path, kind)
        if maximum is not None and (size := Path(path).stat().st_size) > maximum:
            raise kind(f"{os.fspath(path)}: has {size:,} bytes, at most {maximum:,} are read")
        with Path(path).open("rb") as file:
            if not is_text:
                return file.read()
            blocks = []
            while block := file.read(_BLOCK):
                if _NO_TEXT in block:
                    raise kind(f"{os.fspath(path)}: is not a text file: it has zero bytes")
                blocks.append(block)
            return b"".join(blocks)


def require_regular(path: str | os.PathLike[str], kind: type[Error]) -> None:
    """Raise an error of `kind` if reading the path might not end soon: it is a pipe, a device or nearly all holes.

    Holes take no place on the disk, so a file of terabytes can be in a small archive. Files and folders are accepted.
    If the path does not exist, OSError is raised.
    """
    found = Path(path).stat()
    if stat.S_ISREG(found.st_mode):
        _require_stored(path, found, kind)
    elif not stat.S_ISDIR(found.st_mode):
        raise kind(f"{os.fspath(path)}: is not a regular file")


def _require_stored(path: str | os.PathLike[str], found: os.stat_result, kind: type[Error]) -> None:
    """Raise an error of `kind` if the disk holds only a small part of a file."""
    blocks = getattr(found, "st_blocks", None)  # Windows has none
    needed = (found.st_size - _FREE_HOLES) // (1 + _HOLE_PER_BYTE)
    if blocks is None or blocks * _DISK_BLOCK >= needed:
        return
    # File systems that compress have few blocks for many bytes, and some state no blocks at all.
    stored = _stored_bytes(path, found.st_size, needed)
    if stored < needed:
        raise kind(
            f"{os.fspath(path)}: has {found.st_size:,} bytes, of which the disk holds {stored:,}; the rest is a hole: "
            "copy or download the file again"
        )


def _stored_bytes(path: str | os.PathLike[str], size: int, enough: int) -> int:
    """Return the bytes of a file outside of holes. The search ends when `enough` are found."""
    if not hasattr(os, "SEEK_DATA"):
        return size
    stored = end = 0
    with Path(path).open("rb", buffering=0) as file:
        while stored < enough and end < size:
            try:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            except (
                OSError
            ) as error:  # ENXIO: a hole until the end; otherwise the file system does not know holes
                return stored if error.errno == errno.ENXIO else size
            stored += end - begin
    return stored


@contextmanager
def convert_read_errors(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[None]:
    """Turn failures to read a file or folder into errors of `kind` that name it."""
    with _explained(path, "cannot be read", kind):
        yield


@contextmanager
def convert_write_errors(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[None]:
    """Turn failures to write a file or make a folder into errors of `kind` that name it."""
    with _explained(path, "cannot be written", kind):
        yield


@contextmanager
def replace_atomically(
    path: str | os.PathLike[str], kind: type[Error], check: Callable[[str], None] | None = None
) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the `with` block ends, so readers never see half a file.

    If the block fails, `path` stays as it is. If `path` is a link, its target is replaced. The temporary file has the
    same suffix, from which Pillow chooses the format of a picture.

    Args:
        check: is called with the name of the complete temporary file before it replaces `path`.
    """
    from mpscnn._private.arguments import path_name  # imports NumPy, which not every answer needs

    target = Path(path_name("path", path))
    with convert_write_errors(path, kind):
        temporary = create_temporary(target, target.suffix)
        try:
            with temporary.open("w+b") as file:  # Pillow also reads what it has written
                yield file
            if check is not None:
                check(str(temporary))
            replace_target(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[Path]:
    """Yield the name of a folder to make, which replaces `path` when the `with` block ends.

    If the block fails, `path` stays as it is. If `path` is a link, its target is replaced.
    """
    import tempfile  # takes milliseconds, which programs that only read need not spend

    from mpscnn._private.arguments import path_name

    with convert_write_errors(path, kind):
        own = _resolved(Path(path_name("path", path)))
        if exists(own) and not is_folder(own):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryDirectory(prefix=f".{own.name}.", dir=own.parent) as beside:
            made = Path(beside) / own.name
            yield made
            _swap_in(made, own, Path(beside) / "before")


def _swap_in(made: Path, target: Path, before: Path) -> None:
    """Rename a folder to `target`, and the folder that is there to `before`. If this fails, the old folder is back."""
    try:
        if is_folder(target):
            target.rename(before)
        made.rename(target)
    except BaseException:  # also an interruption between the two
        if is_folder(before) and not is_folder(target):
            before.rename(target)
        raise


def create_temporary(target: Path, ending: str = "") -> Path:
    """Create an empty temporary file in the folder of `target`, for `replace_target`. Links are followed.

    Raises OSError if `target` is a folder, a pipe or a device.
    """
    import tempfile

    if is_folder(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    own = _resolved(target)
    if exists(own) and not is_file(own):
        raise OSError(errno.EINVAL, "it is not a regular file")
    handle, name = tempfile.mkstemp(ending, f".{own.name}.", own.parent)
    os.close(handle)
    return Path(name)


def replace_target(temporary: Path, target: Path) -> None:
    """Rename a complete file of `create_temporary` to its target, with the permissions of an ordinary new file."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)  # mkstemp lets only the owner read its files
    temporary.replace(_resolved(target))


def _resolved(path: Path) -> Path:
    return Path(real_path(path))


def require_replaceable(path: str | os.PathLike[str], kind: type[Error]) -> None:
    """Raise an error of `kind` if `replace_atomically` could not write the file. Call it before long computations."""
    target = Path(os.fspath(path))
    with convert_write_errors(path, kind):
        create_temporary(target).unlink()


def require_folder_for(folder: str | os.PathLike[str], names: Iterable[str], kind: type[Error]) -> None:
    """Make a folder. Raise an error of `kind` if `replace_atomically` could not write files with these names into it.

    Call it before long computations.
    """
    with convert_write_errors(folder, kind):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        require_replaceable(Path(folder) / name, kind)


@contextmanager
def _explained(path: str | os.PathLike[str], failure: str, kind: type[Error]) -> Iterator[None]:
    try:
        yield
    except (Error, UnicodeDecodeError):  # errors about the file's content
        raise
    except (
        OSError,
        ValueError,
    ) as error:  # ValueError: the name has a zero byte or cannot be encoded
        reason: Any = getattr(error, "strerror", None) or error
        given = os.fspath(path)
        hint = "; only shells replace '~': pathlib.Path(path).expanduser()" if str(given)[:1] == "~" else ""
        raise kind(f"{given}: {failure}: {reason}{hint}") from error
