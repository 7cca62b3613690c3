"""Show the progress of a download."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mpscnn._private.printable import printable
from mpscnn._private.progress_line import TextLine, draw_bar
from mpscnn._private.summary import bytes_text

_SHORTEST = 0.1  # seconds for which a speed means something


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of bytes done so far. In a terminal or notebook it draws a progress bar.

    The bar is a line of text that changes at most ten times a second, with the speed.
    """
    line, begun = TextLine(shown=None), time.monotonic()

    def text(completed: int) -> str:
        size = bytes_text(completed)
        if total is not None:
            size = f"{draw_bar(completed, total)} {size} of {bytes_text(total)}"
        speed = bytes_text(int(completed / max(time.monotonic() - begun, _SHORTEST)))
        return f"{printable(description)}  {size}, {speed}/s"

    def report(completed: int) -> None:
        if completed == total:
            line.write(text(completed))
        else:
            line.tick(lambda: text(completed))

    try:
        yield report
    finally:
        line.end()
