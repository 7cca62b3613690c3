"""Show the progress of a download."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from mpscnn._private.printable import printable
from mpscnn._private.progress_line import TextLine, draw_bar, is_notebook
from mpscnn._private.summary import bytes_text

__all__ = ["progress_bar"]

_SECONDS = 0.1


@contextlib.contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of bytes done so far. It draws a progress bar in a terminal or notebook.

    In a terminal without the package rich, only a line with the file's name is printed.
    """
    if is_notebook(sys.stderr):
        with _line(printable(description), total) as report:
            yield report
        return
    if not sys.stderr.isatty():
        yield lambda _completed: None
        return
    if find_spec("rich") is None:  # rich is part of the extra "cli"
        print(f"{printable(description)} is being fetched", file=sys.stderr, flush=True)
        yield lambda _completed: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda completed: progress.update(task, completed=completed)


@contextlib.contextmanager
def _line(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the progress as text in a line that changes at most ten times a second."""
    line, due = TextLine(), 0.0

    def report(completed: int) -> None:
        nonlocal due
        if time.monotonic() < due and completed != total:
            return
        due = time.monotonic() + _SECONDS
        if total is None:
            line.write(f"{description}  {bytes_text(completed)}")
        else:
            bar = draw_bar(completed, total)
            line.write(f"{description}  {bar} {bytes_text(completed)} of {bytes_text(total)}")

    try:
        yield report
    finally:
        line.end()
