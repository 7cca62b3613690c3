"""A line that shows how far something is, in terminals and notebooks, without other packages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["TextLine", "filled_bar", "is_notebook", "is_watched", "notebook_count"]

_BAR = 20
_SECONDS = 0.1


def is_notebook(stream: TextIO) -> bool:
    """Return whether the stream is a cell of a notebook."""
    return type(stream).__module__.startswith("ipykernel")


def is_watched(stream: TextIO) -> bool:
    """Return whether a person sees a line of the stream while it changes: in a terminal, or in a notebook."""
    return stream.isatty() or is_notebook(stream)


def filled_bar(done: int, total: int) -> str:
    """Return a bar of characters for a part of a whole."""
    filled = _BAR * min(done, total) // max(total, 1)
    return f"[{'#' * filled}{'.' * (_BAR - filled)}]"


class TextLine:
    """A line on stderr that each text overwrites."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._length = 0

    def write(self, text: str) -> None:
        """Show a text instead of the last one."""
        # Spaces cover a longer text before; notebooks know the carriage return, but no escape sequences.
        print(f"\r{text.ljust(self._length)}", end="", file=self._stream, flush=True)
        self._length = len(text)

    def end(self) -> None:
        """End the line, so that the next output begins on a new line."""
        if self._length:
            print(file=self._stream, flush=True)
        self._length = 0


@contextmanager
def notebook_count(what: str) -> Iterator[Callable[[], None]]:
    """Give a function that counts one more; a notebook shows the count, which changes at most ten times a second."""
    line, count, due = TextLine(), 0, 0.0
    shown = is_notebook(sys.stderr)

    def one_more() -> None:
        nonlocal count, due
        count += 1
        if shown and time.monotonic() >= due:
            due = time.monotonic() + _SECONDS
            line.write(f"{count:,} {what}")

    try:
        yield one_more
    finally:
        if shown and count:
            line.write(f"{count:,} {what}")
            line.end()
