"""Show the progress of a download."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mpscnn._private.printable import printable
from mpscnn._private.progress_line import TextLine, draw_bar, is_watched
from mpscnn._private.summary import bytes_text

_SECONDS = 0.1


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of bytes done so far. In a terminal or notebook it draws a progress bar.

    The bar is a line of text that changes at most ten times a second, with the speed.
    """
    if not is_watched(sys.stderr):
        yield lambda _completed: None
        return
    line, begun, due = TextLine(), time.monotonic(), 0.0

    def report(completed: int) -> None:
        nonlocal due
        if (now := time.monotonic()) < due and completed != total:
            return
        due = now + _SECONDS
        size = bytes_text(completed)
        if total is not None:
            size = f"{draw_bar(completed, total)} {size} of {bytes_text(total)}"
        speed = bytes_text(int(completed / max(now - begun, _SECONDS)))
        line.write(f"{printable(description)}  {size}, {speed}/s")

    try:
        yield report
    finally:
        line.end()
