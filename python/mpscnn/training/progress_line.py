"""The progress line of `Trainer.fit`."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from mpscnn.training.history import Epoch, epoch_text

_BAR = 20
_SECONDS = 0.1


def is_watched(stream: TextIO) -> bool:
    """Return whether a person sees a line of the stream while it changes: in a terminal, or in a notebook."""
    return stream.isatty() or type(stream).__module__.startswith("ipykernel")


class ProgressLine:
    """A line on stderr that each batch overwrites. The line of a finished epoch stays.

    Args:
        last: the number of the last epoch.
        batches: the batches of an epoch; 0: unknown.
        shown: None: where a person sees it.
    """

    def __init__(self, last: int, batches: int, shown: bool | None) -> None:
        self._stream = sys.stderr
        self._shown = is_watched(self._stream) if shown is None else shown
        self._last, self._batches = last, batches
        self._length = 0
        self._due = 0.0

    def batch(self, epoch: int, done: int, loss: float) -> None:
        """Show a batch, at most ten times a second."""
        if not self._shown or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS
        filled = _BAR * done // self._batches if self._batches else 0
        bar = f"[{'#' * filled}{'.' * (_BAR - filled)}] " if self._batches else ""
        count = f"{done}/{self._batches}" if self._batches else f"batch {done}"
        self._write(f"epoch {epoch}/{self._last}  {bar}{count}  loss {loss:.4f}")

    def epoch(self, epoch: Epoch) -> None:
        """Show a finished epoch."""
        if self._shown:
            self._write(f"epoch {epoch.index}/{self._last}  {epoch_text(epoch)}")
            self.end()

    def end(self) -> None:
        """End the line, so that the next output begins on a new line."""
        if self._length:
            print(file=self._stream, flush=True)
        self._length = 0

    def _write(self, text: str) -> None:
        # Spaces cover a longer text before; notebooks know the carriage return, but no escape sequences.
        print(f"\r{text.ljust(self._length)}", end="", file=self._stream, flush=True)
        self._length = len(text)
