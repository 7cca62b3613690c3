"""Define the arguments and the main loop of commands that take photos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.output import report
from mpscnn.apps.cli.progress import with_progress
from mpscnn.errors import DownloadError, Error, ImageError, ParameterError, ShapeError
from mpscnn.vision.photo_list import STDIN, photo_paths

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo


_MAX_FROM_STDIN = 2_000_000_000


def list_photos(arguments: Sequence[str]) -> tuple[list[str], int]:
    """List the photos of files and folders. Return them, and the number of arguments without photos.

    Each such argument is reported.
    """
    paths, failures = photo_paths(arguments)
    for failure in failures:
        report(failure)
    return paths, len(failures)


def for_each_photo(
    paths: Sequence[str],
    action: Callable[[str, Photo], None],
    failed: Callable[[str, Error], None],
    channel_order: ChannelOrderName | None = None,
) -> int:
    """Call `action` for each photo with a progress bar, and `failed` for an unreadable one.

    Return the number of failed photos.
    """
    failures = 0
    with with_progress(paths) as tracked:
        for path in tracked:
            try:
                action(path, open_input_photo(path, channel_order))
            except (DownloadError, ImageError, ParameterError, ShapeError) as error:
                failed(path, error)
                failures += 1
    return failures


def open_input_photo(path: str, channel_order: ChannelOrderName | None = None) -> Photo:
    """Open a photo of the command line: a file, a URL, or standard input."""
    from mpscnn.photo_sources import one_photo
    from mpscnn.vision.photo import open_photo

    if path != STDIN:
        return open_photo(one_photo(path), channel_order=channel_order)
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError(f"{STDIN}: is standard input, but nothing is sent there: cat cat.jpg | mpscnn ...")
    content = sys.stdin.buffer.read(_MAX_FROM_STDIN + 1)
    if len(content) > _MAX_FROM_STDIN:
        raise ImageError(f"{STDIN}: more than {bytes_text(_MAX_FROM_STDIN)} come through standard input")
    try:
        return open_photo(content, channel_order=channel_order)
    except ImageError as error:
        raise ImageError(f"{STDIN}: {error}") from error
