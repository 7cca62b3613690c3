"""What the commands that take photos share: reading the arguments, the loop, and how an answer begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mpscnn._private.summary import bytes_text
from mpscnn.cli.output import report
from mpscnn.cli.photo_list import STDIN, photo_paths
from mpscnn.cli.progress import with_progress
from mpscnn.errors import ImageError, ParameterError, ShapeError
from mpscnn.model import Model

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo


_MOST_FROM_STDIN = 2_000_000_000


class Answer(Protocol):
    """What the results of all tasks have."""

    @property
    def device(self) -> str:
        """Where it was computed."""

    @property
    def precision(self) -> str:
        """Number format."""

    @property
    def milliseconds(self) -> float:
        """Without decoding the photo."""


def listed_photos(arguments: Sequence[str]) -> tuple[list[str], int]:
    """The photos of files and folders. Reports folders without any; returns how many these were."""
    paths, failures = photo_paths(arguments)
    for failure in failures:
        report(failure)
    return paths, len(failures)


def for_each_photo(
    paths: Sequence[str], action: Callable[[str, Photo], None], channel_order: str | None = None
) -> int:
    """Calls `action` with each path and its photo, beside a progress bar.

    Reports photos that fail; returns how many did.
    """
    failed = 0
    with with_progress(paths) as tracked:
        for path in tracked:
            try:
                action(path, open_listed(path, channel_order))
            except (ImageError, ParameterError, ShapeError) as error:
                report(of_photo(path, error))
                failed += 1
    return failed


def open_listed(path: str, channel_order: str | None = None) -> Photo:
    """A photo of the command line: a file, or what comes through standard input."""
    from mpscnn.vision.photo import open_photo

    if path != STDIN:
        return open_photo(path, channel_order=channel_order)
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError(f"{STDIN}: is standard input, but nothing is sent there: cat cat.jpg | mpscnn ...")
    content = sys.stdin.buffer.read(_MOST_FROM_STDIN + 1)
    if len(content) > _MOST_FROM_STDIN:
        raise ImageError(f"{STDIN}: more than {bytes_text(_MOST_FROM_STDIN)} come through standard input")
    try:
        return open_photo(content, channel_order=channel_order)
    except ImageError as error:
        raise ImageError(f"{STDIN}: {error}") from error


def of_photo(path: str, error: Exception) -> Exception | str:
    """What to report of a photo that failed."""
    return (
        error if isinstance(error, ImageError) else f"{path}: {error}"
    )  # the network does not know its name


def head_line(path: str, result: Answer) -> str:
    """The first line of what is printed of a photo."""
    return f"{path}  ({result.milliseconds:.1f} ms, {result.device}, {result.precision})"


def head_fields(path: str, model: Model, result: Answer) -> dict[str, Any]:
    """The first fields of a photo's JSON object."""
    return {
        "image": path,
        "model": model.name,
        "device": result.device,
        "milliseconds": round(result.milliseconds, 3),
    }
