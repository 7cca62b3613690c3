"""Show a progress bar for many photos."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

_FEW = 4

Photo = TypeVar("Photo")


@contextmanager
def with_progress(photos: Sequence[Photo]) -> Iterator[Iterable[Photo]]:
    """Yield the photos. While they are iterated, stderr shows a progress bar if it is a terminal.

    A few photos have no bar.
    """
    if len(photos) <= _FEW or not sys.stderr.isatty():
        yield photos
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), **console_options())
    with bar:
        yield bar.track(photos)


def console_options() -> dict[str, Any]:
    """Return arguments for a `rich.progress.Progress` on stderr that disappears at the end.

    Results printed to the same terminal appear above the bar. Results redirected to a file are not affected.
    """
    from rich.console import Console

    return {
        "console": Console(stderr=True, soft_wrap=True, highlight=False, markup=False),
        "transient": True,
        "redirect_stdout": sys.stdout.isatty(),
        "redirect_stderr": True,
    }
