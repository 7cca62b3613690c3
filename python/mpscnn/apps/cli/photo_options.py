"""Define the arguments and the main loop of commands that take photos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mpscnn._private.calls_ahead import call_ahead
from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.output import report
from mpscnn.apps.cli.progress import with_progress
from mpscnn.errors import DownloadError, Error, ImageError, ParameterError, ShapeError
from mpscnn.model import Model
from mpscnn.runtime.library import available_processors
from mpscnn.runtime.session_pool import SessionPool
from mpscnn.vision.photo_list import STDIN, photo_paths

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo

Result = TypeVar("Result")
Outcome = TypeVar("Outcome")

#: While one photo is on a GPU, another one is decoded.
_GPU_WORKERS = 2

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
    compute: Callable[[Photo], Result],
    action: Callable[[str, Photo, Result], None],
    failed: Callable[[str, Error], None],
    reading: Callable[[str], Photo],
    *,
    workers: int = 1,
) -> int:
    """Call `action` with the result of each photo, in order, or `failed` with an error, and show a progress bar.

    Return the number of failed photos. Several workers open photos and compute results at the same time. They are at
    most twice their number of photos ahead of `action`, so the memory does not depend on the number of photos.

    Args:
        compute: returns the result of a photo.
        reading: opens a photo, as `open_input_photo` does.
        workers: the number of photos that are opened or computed at a time.
    """

    def outcome_of(path: str) -> tuple[Photo, Result]:
        photo = reading(path)
        return photo, compute(photo)

    failures = 0
    with with_progress(paths) as tracked, closing(_ordered(outcome_of, paths, workers)) as outcomes:
        for path in tracked:
            try:
                action(path, *next(outcomes)())
            except (DownloadError, ImageError, ParameterError, ShapeError) as error:
                failed(path, error)
                failures += 1
    return failures


def _ordered(
    call: Callable[[str], Outcome], arguments: Sequence[str], workers: int
) -> Generator[Callable[[], Outcome], None, None]:
    """Yield a function for each argument, which returns the result of the call or raises its error."""
    if workers == 1:
        yield from (partial(call, argument) for argument in arguments)
        return
    with closing(call_ahead(call, arguments, workers)) as under_way:
        for _, future in under_way:
            yield future.result


def for_many_photos(model: Model, count: int) -> tuple[Model, int]:
    """Return the model for several workers at a time, and their number. They share the model's threads.

    The results have the same bits for any number of threads.
    """
    threads = model.run_options.threads
    available = threads if isinstance(threads, int) else available_processors()
    if model.device != "cpu":
        return model, min(count, _GPU_WORKERS)
    workers = max(1, min(count, available))
    if workers == 1:
        return model, 1
    shared = copy(model)
    shared.run_options = model.run_options.replaced(threads=available // workers)
    shared._sessions = SessionPool(model.program, shared.run_options)
    return shared, workers


def open_input_photo(
    path: str, channel_order: ChannelOrderName | None = None, min_size: tuple[int, int] | None = None
) -> Photo:
    """Open a photo of the command line: a file, a URL, or standard input. See `open_photo` for the options."""
    from mpscnn.photo_sources import one_photo
    from mpscnn.vision.photo import open_photo

    if path != STDIN:
        return open_photo(one_photo(path), channel_order=channel_order, min_size=min_size)
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError(f"{STDIN}: is standard input, but nothing is sent there: cat cat.jpg | mpscnn ...")
    content = sys.stdin.buffer.read(_MAX_FROM_STDIN + 1)
    if len(content) > _MAX_FROM_STDIN:
        raise ImageError(f"{STDIN}: more than {bytes_text(_MAX_FROM_STDIN)} come through standard input")
    try:
        return open_photo(content, channel_order=channel_order, min_size=min_size)
    except ImageError as error:
        raise ImageError(f"{STDIN}: {error}") from error
