"""Show the progress line of `mpscnn.train`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from mpscnn._private.progress_line import TextLine, draw_bar, is_watched
from mpscnn.training.callbacks import Callback
from mpscnn.training.classifier import Progress, record_text

__all__ = ["PhaseLine", "PhaseTraining", "show_training"]


class PhaseLine:
    """A line on stderr that shows the progress of `mpscnn.train`. Lines of finished epochs stay.

    Args:
        shown: whether to show the line; None: if stderr is a terminal or a notebook.
    """

    def __init__(self, shown: bool | None) -> None:
        self._line = TextLine()
        self._shown = is_watched(sys.stderr) if shown is None else shown

    def text(self, *lines: str) -> None:
        """Show lines that stay."""
        if self._shown:
            for line in lines:
                self._line.write(line)
                self._line.end()

    def show(self, progress: Progress) -> None:
        """Show the progress within a phase, or the epoch that has just ended."""
        if progress.record is not None:
            self.text(record_text(progress.record, progress.total))
        elif self._shown:
            self._line.write(
                f"{progress.phase}  {draw_bar(progress.done, progress.total)} {progress.done}/{progress.total}"
            )

    def end(self) -> None:
        """End the line, so that the next output begins on a new one."""
        self._line.end()


class PhaseTraining(Protocol):
    """A training that says what it trains on, and yields its progress."""

    def summary(self) -> list[str]:
        """Return lines about the photos."""

    def run(self, callbacks: Iterable[Callback] = ()) -> Iterator[Progress]:
        """Train, and yield the progress."""


def show_training(training: PhaseTraining, called: list[Callback], progress: bool | None) -> None:
    """Train, with a line on stderr for each epoch if the user watches."""
    line = PhaseLine(progress)
    try:
        line.text(*training.summary())
        for one in training.run(called):
            line.show(one)
    finally:
        line.end()
