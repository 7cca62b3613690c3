"""Compute flat indices of the elements that an array of positions selects, as in GatherND."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.budget import Budget, Cost
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import WeightsError


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
    x.fixed_size()
    return numbers_at(budget, x.trial_shapes()[1], indices)
