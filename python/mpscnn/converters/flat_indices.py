"""Read and write the elements of a tensor at positions that are known, as in GatherND and ScatterND."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.budget import Budget, Cost
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unsupported import CHOOSE_SIZE
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


def fixed_size(x: FileTensor) -> int:
    """Return the number of elements. Raises UnsupportedError if it is free, or for a batch that is not 1."""
    low, high = x.trial_shapes()
    if low != high or any(atom.is_batch and atom.high != 1 for axis in x.axes for atom in axis):
        raise UnsupportedError(f"moves elements of {x.shown}, whose batch or size is free: {CHOOSE_SIZE}")
    return math.prod(high)


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
