"""Training data as batches: arrays, or anything that can be iterated once for each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError

#: (inputs, labels): arrays of one length, or an iterable of such pairs for each batch.
Data = tuple[Any, Any] | Iterable[tuple[Any, Any]]
Batch = tuple[NDArray[Any], NDArray[Any]]


def _array(what: str, value: Any) -> NDArray[Any]:
    """As numpy sees it, tensors of other frameworks too."""
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise ParameterError(f"{what} must be an array of numbers, got {type(value).__name__}")
    return array


def images_of(value: Any) -> NDArray[Any]:
    """Inputs of a network: float32 or float16, as they lie."""
    array = _array("inputs", value)
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float16):
        raise ParameterError(
            f"inputs must be floats as the network expects them, got {array.dtype}; for pixels of 0 to 255 and a "
            "network that takes 0 to 1, pass x.astype(np.float32) / 255"
        )
    return array


def targets_of(labels: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Labels in the shape of a prediction, whose batch is `shape[0]`: class numbers become 1 in their places."""
    array = _array("labels", labels)
    if array.shape == shape and array.dtype.kind == "f":
        return np.ascontiguousarray(array, np.float32)
    classes = shape[-1]
    if array.dtype.kind in "iu" and array.shape in (shape[:-1], (*shape[:-1], 1)):
        numbers = array.reshape(shape[:-1])
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
            wrong = numbers[(numbers < 0) | (numbers >= classes)].flat[0]
            raise ParameterError(f"labels must be class numbers of 0 to {classes - 1}, got {wrong}")
        targets = np.zeros(shape, np.float32)
        np.put_along_axis(targets, numbers[..., None].astype(np.int64), np.float32(1), -1)
        return targets
    raise ShapeError(
        f"labels must be whole numbers of the shape {shape[:-1]} or floats of the shape {shape}, got {array.dtype} "
        f"of the shape {array.shape}"
    )


def batches(
    data: Data, size: int, *, order: NDArray[np.integer[Any]] | None = None, first: int = 0
) -> Iterator[Batch]:
    """Batches of (inputs, labels), the first `first` left out.

    Args:
        data: a pair of arrays, or an iterable of batches, whose own order and sizes stay.
        size: of the batches of arrays; the last may be smaller.
        order: of the arrays' elements.
    """
    if size < 1:
        raise ParameterError(f"batch_size must be at least 1, got {size}")
    if not isinstance(data, tuple):
        for number, (inputs, labels) in enumerate(data):
            if number >= first:
                yield images_of(inputs), _array("labels", labels)
        return
    if len(data) != 2:
        raise ParameterError(
            f"data must be (inputs, labels) or an iterable of such batches, got {len(data)} parts"
        )
    inputs, labels = images_of(data[0]), _array("labels", data[1])
    count = len(inputs)
    if len(labels) != count:
        raise ShapeError(f"there are {count} inputs and {len(labels)} labels")
    if count == 0:
        raise ParameterError("there is no training data: the arrays are empty")
    for begin in range(first * size, count, size):
        chosen = slice(begin, begin + size) if order is None else order[begin : begin + size]
        yield inputs[chosen], labels[chosen]


def length_of(data: Data) -> int | None:
    """Elements of arrays; None for what is iterated."""
    return len(data[0]) if isinstance(data, tuple) else None
