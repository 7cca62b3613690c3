"""Show the progress of many photos."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mpscnn.apps.cli.output import hint

_FEW = 4
#: Seconds between two lines about the progress, where stderr is not a terminal.
_PAUSE = 10.0

Photo = TypeVar("Photo")


@contextmanager
def with_progress(photos: Sequence[Photo]) -> Iterator[Iterable[Photo]]:
    """Yield the photos. While they are iterated, stderr shows a progress bar, or a line every 10 seconds in a log.

    A few photos have no bar.
    """
    if len(photos) <= _FEW:
        yield photos
        return
    if not sys.stderr.isatty():
        yield _with_lines(photos)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), **console_options())
    with bar:
        yield bar.track(photos)


def _with_lines(photos: Sequence[Photo]) -> Iterator[Photo]:
    """Yield the photos, and print lines such as "1,200 of 10,000 photos, 97.3 per second, 90 s left"."""
    begun = time.monotonic()
    due = begun + _PAUSE
    for done, photo in enumerate(photos):
        if done and (now := time.monotonic()) >= due:
            due = now + _PAUSE
            rate = done / (now - begun)
            left = (len(photos) - done) / rate
            hint(f"{done:,} of {len(photos):,} photos, {rate:.1f} per second, {left:,.0f} s left")
        yield photo


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
