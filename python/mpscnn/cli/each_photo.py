"""The loop of the commands that take photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpscnn.cli.failures import report
from mpscnn.cli.progress import with_progress
from mpscnn.errors import ImageError, ParameterError, ShapeError


def for_each_photo(paths: Sequence[str], action: Callable[[str], None]) -> int:
    """Calls `action` with each path, beside a progress bar. Reports photos that fail; returns how many did."""
    failed = 0
    with with_progress(paths) as tracked:
        for path in tracked:
            try:
                action(path)
            except ImageError as error:
                report(error)
                failed += 1
            except (ParameterError, ShapeError) as error:
                report(f"{path}: {error}")  # the network does not know the photo's name
                failed += 1
    return failed
