"""Lock folders that several processes in one source tree use: build folders, wheels, environments.

To lock a folder, a process locks a file next to it with flock. The operating system releases this lock when the process
ends, even if it is killed. A program that it started, such as Ninja, may still run then.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

# The locks that this process holds until it ends, and the folder and lock of the last call of hold().
_kept: list[IO[str]] = []
_current: tuple[Path, IO[str]] | None = None


@contextmanager
def locked(folder: Path, report: Callable[[str], object], name: str | None = None) -> Iterator[None]:
    """Hold the lock of a folder. If another process holds it, report that once and wait.

    `name` is the file in the folder that other programs lock; None: the file next to the folder.
    """
    with _acquire(folder, report, name):
        yield


def hold(folder: Path, report: Callable[[str], object]) -> None:
    """Take the lock of a folder. It is held until this process ends or takes the lock of another folder.

    A process holds only one of these locks at a time, so two processes that hold locks never wait for each other.
    """
    global _current
    if _current is not None and _current[0] == folder:
        return
    if _current is not None:
        _current[1].close()
        _current = None
    _current = folder, _acquire(folder, report)


def free_folder(first: Path) -> Path:
    """Return `first`, or the first of `first`-2, `first`-3 and so on that no process holds, and keep its lock."""
    number = 1
    folder = first
    while (lock := _try(folder)) is None:
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    _kept.append(lock)
    return folder


def _acquire(folder: Path, report: Callable[[str], object], name: str | None = None) -> IO[str]:
    lock = _try(folder, name)
    if lock is None:
        lock = _open(folder, name)
        holder = lock.read()
        report(f"waiting for {f'process {holder}' if holder else 'another process'}, which uses {folder}")
        fcntl.flock(lock, fcntl.LOCK_EX)
        _sign(lock)
    return lock


def _try(folder: Path, name: str | None = None) -> IO[str] | None:
    lock = _open(folder, name)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    _sign(lock)
    return lock


def _open(folder: Path, name: str | None) -> IO[str]:
    path = folder / name if name else folder.with_name(folder.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.open("r+", encoding="utf-8")


def _sign(lock: IO[str]) -> None:
    """Write the holder's process id, which others report while they wait."""
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
