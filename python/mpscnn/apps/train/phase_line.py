"""Show the progress line of `mpscnn.train`."""

from __future__ import annotations

from mpscnn._private.progress_line import TextLine, draw_bar
from mpscnn.apps.train.photo_training import FolderTraining
from mpscnn.training.callbacks import Callback
from mpscnn.training.recorded import record_text

__all__ = ["show_training"]


def show_training(training: FolderTraining, called: list[Callback], progress: bool | None) -> None:
    """Train, with a line on stderr for each epoch if the user watches."""
    line = TextLine(shown=progress)
    try:
        line.keep(*training.summary())
        for one in training.run(called):
            if one.record is not None:
                line.keep(record_text(one.record, one.total))
            else:
                line.write(f"{one.phase}  {draw_bar(one.done, one.total)} {one.done}/{one.total}")
    finally:
        line.end()
