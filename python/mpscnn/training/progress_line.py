"""Show the progress line of `Trainer.fit`."""

from __future__ import annotations

import time

from mpscnn._private.progress_line import TextLine, draw_bar
from mpscnn.training.history import Epoch, epoch_text

_SECONDS = 0.1


class ProgressLine:
    """A line on stderr that shows the progress of each batch. Lines of finished epochs stay.

    Args:
        last: the number of the last epoch.
        batches: the number of batches in an epoch; 0: unknown.
        shown: whether to show the line; None: if stderr is a terminal or a notebook.
    """

    def __init__(self, last: int, batches: int, shown: bool | None) -> None:
        self._line = TextLine(shown=shown)
        self._last, self._batches = last, batches
        self._due = 0.0

    def batch(self, epoch: int, done: int, loss: float) -> None:
        """Show the progress of a batch, at most ten times a second."""
        if not self._line.shown or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS
        bar = f"{draw_bar(done, self._batches)} " if self._batches else ""
        count = f"{done}/{self._batches}" if self._batches else f"batch {done}"
        self._line.write(f"epoch {epoch}/{self._last}  {bar}{count}  loss {loss:.4f}")

    def epoch(self, epoch: Epoch) -> None:
        """Show a finished epoch."""
        self._line.keep(f"epoch {epoch.index}/{self._last}  {epoch_text(epoch)}")

    def end(self) -> None:
        """End the line, so that the next output begins on a new one."""
        self._line.end()
