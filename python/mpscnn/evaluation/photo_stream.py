"""Run photos of an evaluation through a runner, several at a time, each with its label."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

from mpscnn._private.progress_line import notebook_count
from mpscnn.errors import Error, ImageError, ParameterError, ShapeError
from mpscnn.model import Model
from mpscnn.photo_sources import one_photo
from mpscnn.runtime.library import available_processors
from mpscnn.vision.photo import open_photo

Truth = TypeVar("Truth")
Failed = Callable[[Any, Error], object]
"""A function that gets a photo that cannot be read, and the error."""


def iterate_results(
    model: Model, samples: Iterable[tuple[Any, Truth]], inflight: int, **options: Any
) -> Iterator[tuple[Any, Truth, Any]]:
    """Yield each photo, its label, and the model's result or an exception."""
    from mpscnn.runner.runner import Runner

    under_way: deque[tuple[Any, Truth]] = deque()

    def photos(opened: Iterable[tuple[tuple[Any, Truth], Any]]) -> Iterator[Any]:
        for sample, photo in opened:
            under_way.append(sample)
            yield photo

    with (
        closing(_opened_ahead(samples)) as opened,
        notebook_count("photos evaluated") as one_more,
        Runner(model, inflight, **model.run_options.to_dict()) as runner,
    ):
        for found in runner.map(photos(opened), return_exceptions=True, **options):
            one_more()
            yield *under_way.popleft(), found


def readable_results(
    model: Model, samples: Iterable[tuple[Any, Truth]], inflight: int, failed: Failed | None, **options: Any
) -> Iterator[tuple[Truth, Any]]:
    """Yield the label and the result of each readable photo.

    Others are passed to `failed`, or their error is raised.
    """
    for photo, truth, found in iterate_results(model, samples, inflight, **options):
        if isinstance(found, (ImageError, ParameterError, ShapeError)) and failed is not None:
            failed(photo, found)
        elif isinstance(found, BaseException):
            raise found
        else:
            yield truth, found


def _opened_ahead(
    samples: Iterable[tuple[Any, Truth]],
) -> Generator[tuple[tuple[Any, Truth], Any], None, None]:
    """Yield each sample and its photo. Threads open files before they are needed."""
    threads = available_processors()
    begun: deque[tuple[tuple[Any, Truth], Future[Any]]] = deque()
    failure: Exception | None = None
    waiting = iter(samples)
    pool = ThreadPoolExecutor(threads, "mpscnn-photos")
    try:
        while True:
            while failure is None and len(begun) < 2 * threads:
                try:
                    sample = next(waiting)
                except Exception as error:  # it is raised after the samples before; StopIteration ends them
                    failure = error
                else:
                    begun.append((sample, pool.submit(_opened, sample[0])))
            if not begun:
                break
            first, photo = begun.popleft()
            yield first, photo.result()
    finally:
        pool.shutdown(cancel_futures=True)
    if not isinstance(failure, StopIteration):
        assert failure is not None
        raise failure


def _opened(photo: Any) -> Any:
    """Open a file. Return other photos as they are, and a file that cannot be opened, whose error the runner gives."""
    if not isinstance(photo, (str, os.PathLike)):
        return photo
    try:
        return open_photo(one_photo(photo))
    except Error:
        return photo
