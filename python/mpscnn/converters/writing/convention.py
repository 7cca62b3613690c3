"""The one convention of all writers: what a format's tables have for each operator or layer."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TypeVar

from mpscnn._private.arguments import path_name
from mpscnn.errors import ParameterError

Source = TypeVar("Source")
Result = TypeVar("Result")

Write = Callable[[Source], Result]
"""A function that writes an operator or layer of a network, and returns its result in the format's program."""


def require_suffix(path: str | PathLike[str], what: str, *suffixes: str) -> Path:
    """Return the path of a file to write. Raise ParameterError if its name does not end in one of the suffixes."""
    written = Path(path_name("path", path))
    if written.suffix.lower() not in suffixes:
        raise ParameterError(
            f"{written}: the name of {what} ends in {' or '.join(suffixes)}; save(path) of a network writes the format "
            "of the suffix"
        )
    return written
