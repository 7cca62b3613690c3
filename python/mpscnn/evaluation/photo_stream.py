"""Run photos of an evaluation through a runner, several at a time, each with its label."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mpscnn._private.arrays import unchanging
from mpscnn._private.calls_ahead import call_ahead
from mpscnn._private.progress_line import notebook_count
from mpscnn.errors import Error, ImageError, ParameterError, ShapeError
from mpscnn.model import Model
from mpscnn.photo_sources import one_photo
from mpscnn.runtime.library import available_processors
from mpscnn.vision.photo import open_photo
from mpscnn.vision.pixels import Photo, YuvImage

if TYPE_CHECKING:
    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.runtime.options import RunOptions

Truth = TypeVar("Truth")
Failed = Callable[[Any, Error], object]
"""A function that gets a photo that cannot be read, and the error."""


def iterate_results(
    model: Model | FeatureExtractor,
    samples: Iterable[tuple[Any, Truth]],
    inflight: int,
    runs: RunOptions,
    **options: Any,
) -> Iterator[tuple[Any, Truth, Any]]:
    """Yield each photo, its label, and the result or an exception.

    Args:
        model: a model, or an extractor of features.
        samples: photos and their labels.
        inflight: the number of photos in progress.
        runs: the options of runs.
        options: those of the model's results.
    """
    from mpscnn.runner.runner import Runner

    under_way: deque[tuple[Any, Truth]] = deque()

    def photos(opened: Iterable[tuple[tuple[Any, Truth], Future[Any]]]) -> Iterator[Any]:
        for sample, photo in opened:
            under_way.append(sample)
            yield photo.result()

    with (
        closing(call_ahead(_opened, map(_kept, samples), available_processors())) as opened,
        notebook_count("photos evaluated") as one_more,
        Runner(model, inflight, **runs.to_dict()) as runner,
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
    for photo, truth, found in iterate_results(model, samples, inflight, model.run_options, **options):
        if isinstance(found, (ImageError, ParameterError, ShapeError)) and failed is not None:
            failed(photo, found)
        elif isinstance(found, BaseException):
            raise found
        else:
            yield truth, found


def _kept(sample: tuple[Any, Truth]) -> tuple[Any, Truth]:
    """Return a sample for a later time: with a copy of a photo in memory, since the next one may be written into it."""
    photo, truth = sample
    if isinstance(photo, np.ndarray):
        return unchanging(photo), truth
    if isinstance(photo, Photo):
        return photo.unchanging(), truth
    if isinstance(photo, (YuvImage, memoryview, bytearray)):
        try:
            return open_photo(photo).unchanging(), truth
        except Error:  # the runner raises it again
            return sample
    return sample


def _opened(sample: tuple[Any, Any]) -> Any:
    """Open a sample's file.

    Return other photos as they are, and the path of a file that cannot be opened, whose error the runner gives.
    """
    photo, _ = sample
    if not isinstance(photo, (str, os.PathLike)):
        return photo
    try:
        return open_photo(one_photo(photo))
    except Error:
        return photo
