"""A line that shows how far something is, in terminals and notebooks, without other packages."""

from __future__ import annotations

import sys
from typing import TextIO

__all__ = ["TextLine", "filled_bar", "is_notebook", "is_watched"]

_BAR = 20


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
