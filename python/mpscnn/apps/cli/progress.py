"""The progress bar over many photos."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

_FEW = 4

Photo = TypeVar("Photo")


@contextmanager
def with_progress(photos: Sequence[Photo]) -> Iterator[Iterable[Photo]]:
    """The photos, with a bar on stderr while they are taken if it is a terminal and they are more than a few."""
    if len(photos) <= _FEW or not sys.stderr.isatty():
        yield photos
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), **console_options())
    with bar:
        yield bar.track(photos)


def console_options() -> dict[str, Any]:
    """Arguments of a `rich.progress.Progress` on stderr that is gone in the end.

    Results that go to the same screen are printed above the bar; those that go to a file must stay there.
    """
    from rich.console import Console

    return {
        "console": Console(stderr=True, soft_wrap=True, highlight=False, markup=False),
        "transient": True,
        "redirect_stdout": sys.stdout.isatty(),
        "redirect_stderr": True,
    }
