"""Divide training data into batches. Data are arrays, or anything that can be iterated once for each epoch."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import whole_number
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.training_arrays import is_object_list, to_array, to_inputs

if TYPE_CHECKING:
    from mpscnn.graph.network import Network


class EpochData(ABC):
    """Data whose batches depend on the epoch's number, such as augmented photos.

    A training that was stopped and resumed therefore gets the same batches.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of elements."""

    @abstractmethod
    def batches(self, size: int, *, epoch: int | None = None, first: int = 0) -> Iterator[tuple[Any, ...]]:
        """Yield batches of (inputs, labels) or (inputs, labels, weights), without the first `first` ones.

        Args:
            size: the number of elements in a batch; the last one may be smaller.
            epoch: the number of the epoch from 0; None: unchanged and in order, for `evaluate`.
        """


def epoch_parts(
    count: int, size: int, *, seed: int, epoch: int | None, first: int = 0
) -> list[NDArray[np.int64]]:
    """Return the numbers of the elements of each batch of `EpochData`, without the first `first` batches.

    The seed and the epoch determine their order.
    """
    order = np.arange(count) if epoch is None else np.random.default_rng([seed, epoch]).permutation(count)
    return [order[begin : begin + size] for begin in range(first * size, count, size)]


#: Training data: (inputs, labels) or (inputs, labels, weights of their losses) as arrays of one length, with a list of
#: inputs if the network has several; or an iterable of such tuples for each batch; or `EpochData`.
Data = tuple[Any, ...] | Iterable[tuple[Any, ...]] | EpochData
#: The inputs of a network, labels (an array or the objects of each image), and weights or None.
Batch = tuple[list[NDArray[Any]], Any, NDArray[Any] | None]


def _parts(network: Network, given: Any, what: str) -> Batch:
    """Check a tuple of arrays: inputs, labels, and weights or None."""
    if isinstance(given, np.ndarray):
        raise ParameterError(f"{what} has no labels: data is (inputs, labels), or batches of such tuples")
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        count = f"{len(given)} parts" if isinstance(given, (tuple, list)) else type(given).__name__
        raise ParameterError(f"{what} must be (inputs, labels) or (inputs, labels, weights), got {count}")
    weights = to_array("weights", given[2]) if len(given) == 3 else None
    labels = list(given[1]) if is_object_list(given[1]) else to_array("labels", given[1])
    inputs = to_inputs(network, given[0])
    for name, array in (*(("inputs", array) for array in inputs), ("labels", labels), ("weights", weights)):
        if isinstance(array, np.ndarray) and array.ndim == 0:
            raise ShapeError(
                f"{what}: {name} must have an element for each image, got a single one; "
                "a DataLoader makes batches of single images"
            )
    return inputs, labels, weights


def pair_with_labels(data: Data, labels: Any) -> Data:
    """Return (data, labels) if there are labels, otherwise the data. Raises ParameterError for a network as data."""
    if any(hasattr(type(data), name) for name in ("predict", "forward")):  # of mpscnn, Keras or PyTorch
        raise ParameterError(
            f"the data cannot be a {type(data).__name__}: Trainer(network) has the network, and fit and evaluate take "
            "the data alone"
        )
    if labels is None:
        return data
    if isinstance(labels, (int, float)):
        raise ParameterError(f"labels must be an array, got {labels!r}; fit takes epochs={labels!r} by name")
    return data, labels


def _chosen(labels: Any, chosen: slice | NDArray[Any]) -> Any:
    """Return the labels of some images."""
    if not isinstance(labels, list):
        return labels[chosen]
    return [labels[int(i)] for i in np.arange(len(labels))[chosen]]


def _require_first(first: int, count: int) -> None:
    """Raise ParameterError if a resumed epoch has fewer batches than were already used."""
    if count < first:
        raise ParameterError(f"{first} batches of this epoch were made, the data has {count or 'no batch'}")


def batch_count(data: Data, size: int) -> int:
    """Return the number of batches in an epoch; 0 if it is not known in advance."""
    whole_number("batch_size", size)
    if isinstance(data, EpochData):
        return -(-len(data) // size)
    if isinstance(data, tuple):
        return -(-operator.length_hint(data[1], 0) // size) if len(data) > 1 else 0
    return operator.length_hint(data, 0)


def batches(
    network: Network,
    data: Data,
    size: int,
    *,
    shuffle: np.random.Generator | None = None,
    epoch: int | None = None,
    first: int = 0,
) -> Iterator[Batch]:
    """Yield batches of (inputs, labels, weights), without the first `first` ones.

    Args:
        network: the network whose inputs they are.
        data: a tuple of arrays, or an iterable of batches, whose order and sizes are kept.
        size: the batch size for arrays; the last batch may be smaller.
        shuffle: the generator that shuffles arrays; None: they keep their order.
        epoch: the number of the epoch, for `EpochData`.
    """
    whole_number("batch_size", size)
    if isinstance(data, EpochData):
        _require_first(first, -(-len(data) // size))
        for images, labels, *weighted in data.batches(size, epoch=epoch, first=first):
            yield [images], labels, weighted[0] if weighted else None
        return
    if not isinstance(data, tuple):
        try:
            numbered = enumerate(data)
        except TypeError:
            raise ParameterError(
                "data must be a tuple of arrays (inputs, labels), or batches that can be iterated, got "
                f"{type(data).__name__}"
            ) from None
        count = 0
        for number, batch in numbered:
            count = number + 1
            if number >= first:
                yield _parts(network, batch, f"batch {number}")
        _require_first(first, count)
        return
    inputs, labels, weights = _parts(network, data, "data")
    count = len(inputs[0])
    if any(len(array) != count for array in inputs):
        raise ShapeError(f"the inputs have {', '.join(str(len(array)) for array in inputs)} elements")
    if len(labels) != count:
        raise ShapeError(f"there are {count} inputs and {len(labels)} labels")
    if weights is not None and len(weights) != count:
        raise ShapeError(f"there are {count} inputs and {len(weights)} weights")
    if count == 0:
        raise ParameterError("the data has no elements: the arrays are empty")
    _require_first(first, -(-count // size))
    order = None if shuffle is None else shuffle.permutation(count)
    for begin in range(first * size, count, size):
        chosen = slice(begin, begin + size) if order is None else order[begin : begin + size]
        yield (
            [array[chosen] for array in inputs],
            _chosen(labels, chosen),
            None if weights is None else weights[chosen],
        )
