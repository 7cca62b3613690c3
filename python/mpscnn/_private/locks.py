"""Lock files between processes. The system releases a lock when its process ends, even if it is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpscnn._private.own_files import open_own


def try_lock(descriptor: int) -> bool:
    """Try to lock an open file without waiting. Return True if this succeeded.

    Raises OSError if the file system has no locks.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def try_hold_lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock file during the `with` block, and remove it at the end.

    Yields True if this process has the lock, False if another one has it. A killed process loses its lock. Raises
    OSError if the file cannot be created or locked, or is a link.
    """
    descriptor = _locked(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            import fcntl

            # Remove the file before unlocking it: a waiting process then checks whether it still exists.
            path.unlink(missing_ok=True)
            # Closing is not enough: a process forked in between shares the descriptor and would keep the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    while True:
        descriptor = open_own(path, os.O_RDWR)
        try:
            locked = try_lock(descriptor)
            if locked and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not locked:
            return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Return True if `path` still names the opened file, which another process may have removed before the lock."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
