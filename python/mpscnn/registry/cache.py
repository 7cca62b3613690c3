"""The cache of published and converted models on this machine."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mpscnn._private.cache_folder import cache_directory, expand_user
from mpscnn._private.files import is_folder
from mpscnn._private.locks import try_lock
from mpscnn._private.own_files import open_own
from mpscnn._private.progress_line import is_watched
from mpscnn.errors import DownloadError, WeightsError
from mpscnn.registry.published_file import PublishedFile

__all__ = [
    "cache_directory",
    "difference",
    "first_file",
    "hold_lock",
    "instructions",
    "model_directories",
    "replace_file",
    "source_path",
]

_CHUNK = 1 << 20


def model_directories() -> list[Path]:
    """Return the directories of MPSCNN_MODELS, in order."""
    listed = os.environ.get("MPSCNN_MODELS", "").split(os.pathsep)
    return [expand_user(directory) for directory in listed if directory]


def source_path(file: PublishedFile) -> Path:
    """Return where a publisher's file is cached: under its own name, in a folder for this version of the file."""
    return cache_directory() / "sources" / file.sha256[:16] / file.name


def first_file(paths: Iterable[Path]) -> Path | None:
    """Return the first of the paths that is a file. Raise WeightsError for a directory that cannot be searched."""
    for path in paths:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                return path
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise WeightsError(f"cannot look for {path}: {error.strerror}") from error
    return None


def instructions(file: PublishedFile) -> str:
    """Return instructions for downloading a file by hand: its URL, size and checksum, and the folders to put it in."""
    directories = model_directories()
    listed = ", ".join(
        str(path) + ("" if is_folder(path) else " (no such directory)") for path in directories
    )
    return (
        f"To do without the download, get {file.name} ({file.identity})\n"
        f"from {file.url}\n"
        f"and put it at {source_path(file)}\n"
        f"or, under that name, into a directory listed in MPSCNN_MODELS (now: {listed or 'not set'})."
    )


def difference(path: Path, file: PublishedFile) -> str | None:
    """Return how the local file differs from the published one, or None if they are the same."""
    size = path.stat().st_size
    if size != file.size:
        return f"{size} bytes instead of {file.size}"
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != file.sha256:
        return f"sha256 {digest.hexdigest()} instead of {file.sha256}"
    return None


class CacheError(DownloadError):
    """The cache cannot be written."""


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock of `path` between threads and processes. The folder is created if needed.

    The lock file is never removed. Otherwise a third process could lock a new file of that name while a second one
    still waits for the old file.
    """
    import fcntl

    lock = path.with_name(path.name + ".lock")
    with _explained(lock):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_own(lock, os.O_RDWR)
    try:
        with _explained(path):
            if not try_lock(descriptor):
                if is_watched(sys.stderr):
                    print(f"Waiting for another process that prepares {path.name} ...", file=sys.stderr)
                # A blocking call would not notice a Ctrl-C that comes just before it.
                while not try_lock(descriptor):
                    time.sleep(0.05)
        try:
            yield
        finally:
            # Closing is not enough: a process forked in between shares the descriptor and would keep the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield the name of a temporary file, which replaces `path` when the block succeeds and the file is on disk.

    The caller must hold the lock of `path`, so a file left by a killed process can be overwritten.
    """
    temporary = path.with_name(f"{path.stem}.tmp{path.suffix}")
    with _explained(path):
        temporary.unlink(missing_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of the file system into errors that name the environment variable to change."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise CacheError(
            f"cannot write {path}: {reason}. Set MPSCNN_CACHE to a directory that can be written."
        ) from error
