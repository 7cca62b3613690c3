"""Print the output of commands. Text from files and users is escaped, so that it cannot control the terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from mpscnn._private.json_text import json_row
from mpscnn._private.printable import printable
from mpscnn._private.summary import prose
from mpscnn.errors import DownloadError

_NARROWEST = 40


def show(*lines: str) -> None:
    """Print lines. Newlines within a line are escaped."""
    print("\n".join(map(printable, lines)), flush=True)


def show_as_is(text: str) -> None:
    """Print text that contains newlines and is already escaped."""
    print(text, end="", flush=True)


def show_json(value: object) -> None:
    """Print a value as one line of JSON, as `json_row`."""
    print(json_row(value), flush=True)


def report(message: object) -> None:
    """Print an error on stderr. It takes one line, except for download instructions and lists of layers."""
    own = isinstance(message, DownloadError) or getattr(message, "layers", None) is not None
    _to_stderr("error: ", *(str(message).split("\n") if own else [str(message)]))


def warn(message: object) -> None:
    """Print a warning on stderr."""
    _to_stderr("warning: ", str(message))


def hint(*lines: str) -> None:
    """Print a hint on stderr, which is not part of the results."""
    _to_stderr("", *lines)


def table_width(stream: TextIO | None = None) -> int | None:
    """Return the terminal's width in characters; None if the stream is not a terminal. The default is stdout."""
    if not (stream or sys.stdout).isatty():
        return None
    return max(shutil.get_terminal_size().columns, _NARROWEST)


def sentences(*lines: str) -> list[str]:
    """Return lines of prose, wrapped to the width of tables."""
    width = table_width()
    return [part for line in lines for part in prose(line, width)]


def _to_stderr(kind: str, *lines: str) -> None:
    print(kind + "\n".join(map(printable, lines)), file=sys.stderr, flush=True)
