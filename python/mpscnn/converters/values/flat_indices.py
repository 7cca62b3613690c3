"""Read and write the elements of a tensor at positions that are known, as in GatherND and ScatterND."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError

_LAYERS_OF_ROUND = 12  # the layers that combine some elements of a tensor with others
_MAX_ROUNDS = 64  # the maximum number of updates of one element


def numbers_at(budget: Budget, extents: Sequence[int], indices: NDArray[Any]) -> NDArray[np.int64]:
    """Return the flat indices of all elements that lie at given positions of a tensor's first axes.

    Args:
        budget: counts the work and memory for the flat indices.
        extents: the tensor's shape.
        indices: an array whose last axis has a position on each of the first axes. Negative ones count from the end.

    Returns an array with the shape of `indices` without its last axis, and one more axis for the elements at each
    position.
    """
    count = indices.shape[-1] if indices.ndim else 0
    if not 1 <= count <= len(extents) or not indices.size:
        raise WeightsError(f"damaged: indices {indices.shape} for {tuple(extents)}")
    inner = math.prod(extents[count:])
    size = 8 * (indices.size + indices.size // count * inner)
    budget.spend(Cost(size, size))
    leading = np.array(extents[:count])
    if (indices < -leading).any() or (indices >= leading).any():
        raise WeightsError(f"damaged: its indices {indices.shape} are beyond {tuple(extents)}")
    places = np.moveaxis(indices % leading, -1, 0)
    blocks = np.ravel_multi_index(tuple(places), tuple(extents[:count]))
    return np.asarray(blocks[..., None] * inner + np.arange(inner))


def numbers_in(budget: Budget, x: FileTensor, indices: NDArray[Any]) -> NDArray[np.int64]:
    """Return the flat indices of the elements that `indices` selects in a tensor, as `numbers_at` does.

    Raises UnsupportedError if the tensor's size is free, or if its batch is not 1.
    """
    fixed_size(x)
    return numbers_at(budget, x.trial_shapes()[1], indices)


def take_flat(x: FileTensor, numbers: NDArray[np.int64], shape: Sequence[int] | None = None) -> FileTensor:
    """Return the elements with these flat indices, which count the elements of the whole tensor.

    The file's batch must be 1. `shape` is the shape of the result; None: the shape of `numbers`.
    """
    count = fixed_size(x)
    flat = x.reshape([1, count]).take_positions(1, numbers.reshape(-1))
    extents = list(numbers.shape if shape is None else shape)
    return flat.reshape(extents)


def take_at(x: Value, indices: Constant) -> Value:
    """Gather elements, or parts, at places: the last axis of the indices has the coordinates of a place."""
    if isinstance(x, Constant):
        return x.take_at(indices)
    assert isinstance(x, FileTensor)
    places = indices.fixed("its indices")
    if places.ndim and places.shape[-1] == 1:
        return x.take(0, places[..., 0])
    numbers = numbers_in(x.arranger.budget, x, places)
    rest = x.trial_shapes()[1][places.shape[-1] :]
    return take_flat(x, numbers, [*places.shape[:-1], *rest])


def take_along_axis(x: Value, axis: int, indices: Value) -> Value:
    """Gather elements of an axis as numpy.take_along_axis does.

    Along other axes only the first elements are read if the indices have a smaller extent.
    """
    if isinstance(x, Constant) and isinstance(indices, Constant):
        return x.take_along_axis(axis, indices)
    assert isinstance(x, FileTensor)
    if isinstance(indices, Constant):
        return _take_along_axis(x, axis, indices.fixed("its indices"))
    assert isinstance(indices, FileTensor)
    return x.take_along_axis(axis, indices)


def _take_along_axis(x: FileTensor, axis: int, given: NDArray[Any]) -> FileTensor:
    """Gather elements of an axis by constant indices, from all elements of an image."""
    low, high = x.trial_shapes()
    if given.ndim != x.rank or not given.size:
        raise WeightsError(f"damaged: takes elements of {x.shown} by indices {given.shape}")
    x.arranger.budget.spend(Cost(8 * given.size, 8 * given.size))
    if x.has_batch_first and (high[0] != 1 or len(given) != 1):
        if axis == 0 or len(given) != high[0] or not bool((given == given[:1]).all()):
            raise UnsupportedError("takes other elements for each image of the batch")
        own, extents, axis = given[0], low[1:], axis - 1
    else:
        own, extents = given, low
    first = [low[:1], high[:1]] if own is not given else [[], []]
    if extents != high[len(high) - len(extents) :]:
        raise UnsupportedError(f"takes elements of {x.shown}, whose size is free: {CHOOSE_SIZE}")
    numbers = _along(x, own, axis, extents).reshape(-1)
    flat = x.reshape_to(*([*(batch or [1]), math.prod(extents)] for batch in first))
    return flat.take(1, numbers).reshape_to(*([*batch, *own.shape] for batch in first))


def scatter_along_axis(
    x: Value, axis: int, indices: Constant, updates: Value, operation: str | None
) -> Value:
    """Replace elements at the places that `take_along_axis` reads; see `scatter_at` for the operation."""
    if isinstance(x, Constant) and isinstance(updates, Constant):
        return x.scatter_along_axis(axis, indices, updates, operation)
    assert isinstance(x, FileTensor)
    assert isinstance(updates, FileTensor)
    given = indices.fixed("its indices")
    fixed_size(x)
    if given.ndim != x.rank or not given.size:
        raise WeightsError(f"damaged: its indices {given.shape} do not fit {x.shown}")
    x.arranger.budget.spend(Cost(8 * given.size, 8 * given.size))
    return _scatter(x, _along(x, given, axis, x.trial_shapes()[1]), updates, operation)


def scatter_at(x: Value, indices: Constant, updates: Value, operation: str | None) -> Value:
    """Replace elements, or parts, at the places that `take_at` reads, by those of `updates`.

    `operation` is None, or "add", "multiply", "maximum" or "minimum" to combine both.
    """
    if isinstance(x, Constant) and isinstance(updates, Constant):
        return x.scatter_at(indices, updates, operation)
    assert isinstance(x, FileTensor)
    assert isinstance(updates, FileTensor)
    return _scatter(x, numbers_in(x.arranger.budget, x, indices.fixed("its indices")), updates, operation)


def _along(x: FileTensor, own: NDArray[Any], axis: int, extents: Sequence[int]) -> NDArray[np.int64]:
    """Return the flat indices of the elements that indices along an axis select."""
    others = (place for place in range(own.ndim) if place != axis)
    beyond = any(own.shape[place] > extents[place] for place in others)
    if beyond or int(own.min()) < -extents[axis] or int(own.max()) >= extents[axis]:
        raise WeightsError(f"damaged: its indices {own.shape} are beyond {x.shown}")
    places: list[Any] = list(np.indices(own.shape, sparse=True))
    places[axis] = own % extents[axis]
    every: Any = np.broadcast_arrays(*places)
    return np.asarray(np.ravel_multi_index(every, tuple(extents)))


def fixed_size(x: FileTensor) -> int:
    """Return the number of elements. Raises UnsupportedError if it is free, or for a batch that is not 1."""
    low, high = x.trial_shapes()
    if low != high or any(atom.is_batch and atom.high != 1 for axis in x.axes for atom in axis):
        raise UnsupportedError(f"moves elements of {x.shown}, whose batch or size is free: {CHOOSE_SIZE}")
    return math.prod(high)


def _scatter(
    x: FileTensor, numbers: NDArray[np.int64], updates: FileTensor, operation: str | None
) -> FileTensor:
    if operation is None:
        return scatter_flat(x, numbers, updates)
    return scatter_and_combine(x, numbers, updates, operation)


def scatter_flat(x: FileTensor, numbers: NDArray[np.int64], updates: FileTensor) -> FileTensor:
    """Replace the elements at the flat indices `numbers` by those of `updates`, in the same order.

    If several updates belong to one element, the last one is used.
    """
    count, new = fixed_size(x), fixed_size(updates)
    if new != numbers.size:
        raise WeightsError(f"damaged: {new} elements for {numbers.size} positions")
    x.arranger.budget.spend(Cost(4 * (count + new), 4 * (count + new)))
    table = np.arange(count)
    table[numbers.reshape(-1)] = count + np.arange(new)
    flat = updates.reshape([1, new]).with_own_atoms()
    both = x.reshape([1, count]).concat([flat], 1)
    low, high = x.trial_shapes()
    return both.take_positions(1, table).reshape_to(low, high)


def scatter_and_combine(
    x: FileTensor, numbers: NDArray[np.int64], updates: FileTensor, operation: str
) -> FileTensor:
    """Combine the elements at the flat indices `numbers` with those of `updates`, in the same order.

    `operation` is the name of a method of `Network`, such as "add". If several updates belong to one element, it
    is combined with all of them, one after the other.
    """
    new, flat = fixed_size(updates), numbers.reshape(-1)
    if new != flat.size:
        raise WeightsError(f"damaged: {new} elements for {flat.size} positions")
    x.arranger.budget.spend(Cost(16 * new, 64 * new))
    rounds = _rounds_of(flat)
    if len(rounds) > _MAX_ROUNDS:
        raise UnsupportedError(f"combines one element with {len(rounds)} others; supported are {_MAX_ROUNDS}")
    x.arranger.budget.spend(Cost.of_layers(_LAYERS_OF_ROUND * len(rounds)))
    values, result = updates.reshape([1, new]).with_own_atoms(), x
    for place, chosen in enumerate(rounds):
        old = take_flat(result, flat[chosen], [1, chosen.size])
        made = old.combine(operation, x.wrap(values).take_positions(1, chosen), f"/combined{place}")
        result = scatter_flat(result, flat[chosen], made)
    return result


def scatter_to_zeros(x: FileTensor, numbers: NDArray[np.int64], shape: Sequence[int]) -> FileTensor:
    """Return a tensor of this shape with the elements at its flat indices `numbers`, and zeros elsewhere.

    Each flat index may occur once.
    """
    new, count = fixed_size(x), math.prod(shape)
    if new != numbers.size:
        raise WeightsError(f"damaged: {new} elements for {numbers.size} positions")
    x.arranger.budget.spend(Cost(4 * (count + new), 4 * (count + new)))
    table = np.full(count, new)
    table[numbers.reshape(-1)] = np.arange(new)
    flat = x.reshape([1, new])
    zero = x.arranger.constant(x.arranger.name("/zero"), (1,), lambda: np.zeros(1, np.float32))
    both = flat.concat([FileTensor.from_tensor(x.arranger, zero)], 1)
    return both.take_positions(1, table).reshape(shape)


def _rounds_of(indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the places of indices in several lists, in each of which an index occurs once."""
    order = np.argsort(indices, kind="stable")
    begins = np.flatnonzero(np.diff(indices[order], prepend=indices.min(initial=0) - 1))
    count = np.arange(indices.size) - np.repeat(begins, np.diff([*begins, indices.size]))
    ranks = np.empty(indices.size, np.int64)
    ranks[order] = count
    return [
        np.flatnonzero(ranks == rank) for rank in range(min(int(ranks.max(initial=-1)) + 1, _MAX_ROUNDS + 1))
    ]
