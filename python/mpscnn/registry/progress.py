"""The progress bar of a download."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from mpscnn._private.printable import printable

__all__ = ["progress_bar"]


@contextlib.contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that takes the number of bytes done so far; draw on stderr if it is a terminal.

    Without rich, one line names the file.
    """
    if not sys.stderr.isatty():
        yield lambda _completed: None
        return
    if find_spec("rich") is None:  # part of the extra "cli"
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
