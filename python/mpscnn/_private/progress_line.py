"""A progress line for terminals and notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_BAR = 20
_SECONDS = 0.1


def is_notebook(stream: TextIO) -> bool:
    """Return True if the stream is the output of a notebook cell."""
    return type(stream).__module__.startswith("ipykernel")


def is_watched(stream: TextIO) -> bool:
    """Return True if a person can watch the stream: it is a terminal or a notebook."""
    return stream.isatty() or is_notebook(stream)


def draw_bar(done: int, total: int) -> str:
    """Return a progress bar made of characters."""
    filled = _BAR * min(done, total) // max(total, 1)
    return f"[{'#' * filled}{'.' * (_BAR - filled)}]"


class TextLine:
    """A line on stderr whose text can be replaced.

    Args:
        shown: whether to write anything; None: if stderr is a terminal or a notebook.
        kept: whether to write the lines that stay; None: as `shown`.
    """

    def __init__(self, *, shown: bool | None = True, kept: bool | None = None) -> None:
        self._stream = sys.stderr
        self.shown = is_watched(self._stream) if shown is None else shown
        self._kept = self.shown if kept is None else kept
        self._length = 0
        self._due = 0.0

    def write(self, text: str) -> None:
        """Replace the line's text."""
        if self.shown:
            self._write(text)

    def tick(self, text: Callable[[], str]) -> None:
        """Replace the line's text by that of a function, but at most ten times a second."""
        if self.shown and (now := time.monotonic()) >= self._due:
            self._due = now + _SECONDS
            self._write(text())

    def _write(self, text: str) -> None:
        # Padding with spaces overwrites a longer old text. Notebooks know "\r", but no escape sequences.
        start = "\r" if self.shown else ""
        print(f"{start}{text.ljust(self._length)}", end="", file=self._stream, flush=True)
        self._length = len(text)

    def keep(self, *texts: str) -> None:
        """Write lines that stay."""
        for text in texts if self._kept else ():
            self._write(text)
            self.end()

    def end(self) -> None:
        """End the line if something was written."""
        if self._length:
            print(file=self._stream, flush=True)
        self._length = 0


@contextmanager
def notebook_count(what: str) -> Iterator[Callable[[], None]]:
    """Yield a function that adds 1 to a counter. In a notebook the count is shown, at most ten times a second."""
    line, count = TextLine(shown=is_notebook(sys.stderr)), 0

    def text() -> str:
        return f"{count:,} {what}"

    def one_more() -> None:
        nonlocal count
        count += 1
        line.tick(text)

    try:
        yield one_more
    finally:
        if count:
            line.write(text())
            line.end()
