"""What to say of files that cannot be read or written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpscnn.errors import Error

__all__ = ["is_folder", "reading", "writing"]


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether it is a folder. A name that no file can have is none, where Path.is_dir may raise."""
    return os.path.isdir(path)  # noqa: PTH112


@contextmanager
def reading(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[None]:
    """Turns failures to read a file or folder into errors of `kind` that name it."""
    with _explained(path, "cannot be read", kind):
        yield


@contextmanager
def writing(path: str | os.PathLike[str], kind: type[Error]) -> Iterator[None]:
    """Turns failures to write a file or make a folder into errors of `kind` that name it."""
    with _explained(path, "cannot be written", kind):
        yield


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
