"""Training data as batches: arrays, or anything that can be iterated once for each epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.training_arrays import array_of, images_of, is_object_list


class EpochData(ABC):
    """Data whose batches differ from epoch to epoch, such as augmented photos; a function of the epoch's number.

    So a run that was stopped goes on with the batches that it would have had.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Elements."""

    @abstractmethod
    def batches(
        self, size: int, *, epoch: int | None = None, first: int = 0
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Batches of (inputs, labels), the first `first` left out.

        Args:
            size: elements of a batch; the last may be smaller.
            epoch: counted from 0; None: as they are and in order, for `evaluate`.
        """


#: (inputs, labels), or (inputs, labels, weights of their losses): arrays of one length, or an iterable of such tuples
#: for each batch, or what knows its epochs.
Data = tuple[Any, ...] | Iterable[tuple[Any, ...]] | EpochData
#: Labels are an array or the objects of each image, weights None where there are none.
Batch = tuple[NDArray[Any], Any, NDArray[Any] | None]


def _parts(given: Any, what: str) -> Batch:
    """Of a tuple of arrays."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        count = f"{len(given)} parts" if isinstance(given, (tuple, list)) else type(given).__name__
        raise ParameterError(f"{what} must be (inputs, labels) or (inputs, labels, weights), got {count}")
    weights = array_of("weights", given[2]) if len(given) == 3 else None
    labels = list(given[1]) if is_object_list(given[1]) else array_of("labels", given[1])
    return images_of(given[0]), labels, weights


def _chosen(labels: Any, chosen: slice | NDArray[Any]) -> Any:
    """Those of some images."""
    if not isinstance(labels, list):
        return labels[chosen]
    return [labels[int(i)] for i in np.arange(len(labels))[chosen]]


def batches(
    data: Data,
    size: int,
    *,
    order: NDArray[np.integer[Any]] | None = None,
    epoch: int | None = None,
    first: int = 0,
) -> Iterator[Batch]:
    """Batches of (inputs, labels, weights), the first `first` left out.

    Args:
        data: a tuple of arrays, or an iterable of batches, whose own order and sizes stay.
        size: of the batches of arrays; the last may be smaller.
        order: of the arrays' elements.
        epoch: for `EpochData`.
    """
    if size < 1:
        raise ParameterError(f"batch_size must be at least 1, got {size}")
    if isinstance(data, EpochData):
        for inputs, labels in data.batches(size, epoch=epoch, first=first):
            yield inputs, labels, None
        return
    if not isinstance(data, tuple):
        for number, batch in enumerate(data):
            if number >= first:
                yield _parts(batch, f"batch {number}")
        return
    inputs, labels, weights = _parts(data, "data")
    count = len(inputs)
    if len(labels) != count:
        raise ShapeError(f"there are {count} inputs and {len(labels)} labels")
    if weights is not None and len(weights) != count:
        raise ShapeError(f"there are {count} inputs and {len(weights)} weights")
    if count == 0:
        raise ParameterError("there is no training data: the arrays are empty")
    for begin in range(first * size, count, size):
        chosen = slice(begin, begin + size) if order is None else order[begin : begin + size]
        yield inputs[chosen], _chosen(labels, chosen), None if weights is None else weights[chosen]


def length_of(data: Data) -> int | None:
    """Elements of arrays; None for what is iterated."""
    return len(data[0]) if isinstance(data, tuple) else None
