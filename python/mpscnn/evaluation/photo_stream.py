"""Run photos of an evaluation through a runner, several at a time, each with its label."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from mpscnn._private.progress_line import notebook_count
from mpscnn.errors import Error, ImageError, ParameterError, ShapeError
from mpscnn.model import Model

Truth = TypeVar("Truth")
Failed = Callable[[Any, Error], object]
"""A function that gets a photo that cannot be read, and the error."""


def iterate_results(
    model: Model, samples: Iterable[tuple[Any, Truth]], inflight: int, **options: Any
) -> Iterator[tuple[Any, Truth, Any]]:
    """Yield each photo, its label, and the model's result or an exception."""
    from mpscnn.runner.runner import Runner

    under_way: deque[tuple[Any, Truth]] = deque()

    def photos() -> Iterator[Any]:
        for sample in samples:
            under_way.append(sample)
            yield sample[0]

    with (
        notebook_count("photos evaluated") as one_more,
        Runner(model, inflight, **model.run_options.to_dict()) as runner,
    ):
        for found in runner.map(photos(), return_exceptions=True, **options):
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
