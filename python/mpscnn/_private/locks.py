"""Locks between threads and processes. They are released when the process that holds them ends in any way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpscnn._private.own_files import open_own

__all__ = ["held_lock", "locked_at_once"]


def locked_at_once(descriptor: int) -> bool:
    """Lock an open file. Return True if no other process has the lock. OSError where the file system has no locks."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a file that is there for it alone, and remove it at the end.

    Yield True if no other process has it.

    The file of a killed process is not locked any more. OSError where it cannot be made or locked, and for a link.
    """
    descriptor = _locked(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            import fcntl

            path.unlink(
                missing_ok=True
            )  # while it is locked: who waits for it looks whether it is still there
            # Closing alone would not do it: a child forked meanwhile shares the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    while True:
        descriptor = open_own(path, os.O_RDWR)
        try:
            locked = locked_at_once(descriptor)
            if locked and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not locked:
            return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Return True if the file was not removed between being opened and locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
