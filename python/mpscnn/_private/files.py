"""Turn failures to read or write files into errors of mpscnn."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mpscnn.errors import Error

__all__ = [
    "content_of",
    "file_next_to",
    "is_folder",
    "reading",
    "replacing",
    "require_folder_for",
    "require_regular",
    "require_replaceable",
    "take_place",
    "writing",
]


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return True if it is a folder. A name that no file can have is none, where Path.is_dir may raise."""
    return os.path.isdir(path)  # noqa: PTH112


def content_of(path: str | os.PathLike[str], kind: type[Error]) -> bytes:
    """Return the bytes of a regular file. Raises an error of `kind` that names what cannot be read."""
    with reading(path, kind):
        require_regular(path, kind)
        return Path(path).read_bytes()


def require_regular(path: str | os.PathLike[str], kind: type[Error]) -> None:
    """Raise an error of `kind` for a pipe, which could block for ever, and for a device, which may never end.

    Files and folders are accepted. If the path does not exist, OSError is raised.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise kind(f"{os.fspath(path)}: is not a regular file")


@contextmanager
def reading(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[None]:
    """Turn failures to read a file or folder into errors of `kind` that name it."""
    with _explained(path, "cannot be read", kind):
        yield


@contextmanager
def writing(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[None]:
    """Turn failures to write a file or make a folder into errors of `kind` that name it."""
    with _explained(path, "cannot be written", kind):
        yield


@contextmanager
def replacing(
    path: str | os.PathLike[str], kind: type[Error], check: Callable[[str], None] | None = None
) -> Iterator[BinaryIO]:
    """A file next to `path` that is renamed when it is complete: a reader sees the old file or the whole new one.

    If the name is a link, the file that it names is replaced.

    Args:
        check: looks at the complete file, whose name it gets, before it takes its place.
    """
    target = Path(os.fspath(path))
    with writing(path, kind):
        temporary = file_next_to(target)
        try:
            with temporary.open("wb") as file:
                yield file
            if check is not None:
                check(str(temporary))
            take_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def file_next_to(target: Path, ending: str = "") -> Path:
    """Return a new empty file in the folder of `target`, for `take_place`. A link stands for the file that it names.

    Raises OSError where `target` is a folder, a pipe or a device, whose place nothing may take.
    """
    if is_folder(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    own = _resolved(target)
    if os.path.exists(own) and not own.is_file():  # noqa: PTH110
        raise OSError(errno.EINVAL, "it is not a regular file")
    handle, name = tempfile.mkstemp(ending, f".{own.name}.", own.parent)
    os.close(handle)
    return Path(name)


def take_place(temporary: Path, target: Path) -> None:
    """Renames what `file_next_to` made and is complete now."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner reads
    temporary.replace(_resolved(target))


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def require_replaceable(path: str | os.PathLike[str], kind: type[Error]) -> None:
    """Raise an error of `kind` if `replacing` could not write the file. Call it before work that takes long."""
    target = Path(os.fspath(path))
    with writing(path, kind):
        file_next_to(target).unlink()


def require_folder_for(folder: str | os.PathLike[str], names: Iterable[str], kind: type[Error]) -> None:
    """Make a folder, and raise an error of `kind` if `replacing` could not write files of these names into it.

    Call it before work that takes long.
    """
    with writing(folder, kind):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        require_replaceable(Path(folder) / name, kind)


@contextmanager
def _explained(path: str | os.PathLike[str], failure: str, kind: type[Error]) -> Iterator[None]:
    try:
        yield
    except (Error, UnicodeDecodeError):  # of what a file holds
        raise
    except (
        OSError,
        ValueError,
    ) as error:  # ValueError: a zero byte in the name, or text that no name can hold
        reason: Any = getattr(error, "strerror", None) or error
        raise kind(f"{os.fspath(path)}: {failure}: {reason}") from error
