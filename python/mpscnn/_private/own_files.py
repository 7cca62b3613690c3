"""Create the package's own files, such as locks and partial downloads, in folders that other users may write."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def open_own(path: Path, flags: int, *, is_written: bool = False) -> int:
    """Open a file, and create it if it does not exist. Return its descriptor.

    Links are refused: another user could have placed one to make this process write a different file.

    Args:
        path: the file.
        flags: as for `os.open`.
        is_written: whether the content will change. Then a file with a second name (a hard link) is refused, too.

    Raises OSError: the file cannot be opened, is a link, or is not a regular file.
    """
    # With O_NONBLOCK a pipe cannot block the call.
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
    """Return the size in bytes of a partial file that will be continued; 0 if it does not exist.

    Raises OSError: it is a link, has a second name (a hard link), or is not a regular file.
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
