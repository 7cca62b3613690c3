"""Create the package's own files next to those of its users: locks, and parts of downloads."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["open_own", "own_size"]


def open_own(path: Path, flags: int, *, is_written: bool = False) -> int:
    """Return a descriptor of the file, which is made where there is none.

    Another user may have put a link in its place, so that another file would be written.

    Args:
        path: of the file.
        flags: as of `os.open`.
        is_written: whether its content will change, so that it may have no further name.

    Raises OSError: it cannot be opened, or is a link or something else than a file.
    """
    # A pipe must not keep the call waiting.
    always = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | always, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise _refusal(path) from error
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (is_written and status.st_nlink > 1):
        os.close(descriptor)
        raise _refusal(path)
    return descriptor


def own_size(path: Path) -> int:
    """Bytes of a file that will be written further, 0 where there is none.

    Raises OSError: it is a link, has a further name, or is something else than a file.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise _refusal(path)
    return status.st_size


def _refusal(path: Path) -> OSError:
    return OSError(errno.ELOOP, "is a link or not a regular file, and is not followed; remove it", str(path))
