"""Apply weights that differ between positions, or along another axis than the channels, by reshaping to channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

Back = Callable[[Tensor], Tensor]


def as_channels(
    c: LayerCall, x: Tensor, *weights: NDArray[np.generic]
) -> tuple[Tensor, list[NDArray[np.generic]], Back]:
    """Reshape x so that all axes along which the weights differ are its channels.

    The axes of each array of weights are the last ones of x, without the batch; an extent of 1 broadcasts. Axes of x
    before the first one along which weights differ stay unchanged.

    Returns:
        The tensor, each array as a vector over the new channels, and a function that reshapes a result back.
    """
    extents = x.shape[1:]
    rank = len(extents)
    if any(values.ndim > rank for values in weights):
        raise WeightsError(
            f"damaged: it has weights of {max(one.ndim for one in weights)} axes for {x.shape}"
        )
    shapes = [(1,) * (rank - values.ndim) + values.shape for values in weights]
    first = min(
        (axis for shape in shapes for axis, extent in enumerate(shape) if extent != 1), default=rank - 1
    )
    if first == rank - 1:
        return x, [_along(values, extents[-1:]) for values in weights], lambda y: y
    tail = extents[first:]
    if None in tail:
        raise UnsupportedError(f"it has weights for each position of {x.shape}, whose size is free")
    fixed = [extent or 0 for extent in tail]
    before = [-1 if extent is None else extent for extent in extents[:first]]
    given = [_along(values, fixed) for values in weights]
    flat = c.network.reshape(x, [*_two(before), math.prod(fixed)], name=c.name("/positions"))
    return flat, given, lambda y: c.network.reshape(y, [*before, *fixed], name=c.name("/axes"))


def _two(extents: Sequence[int]) -> list[int]:
    """Return two extents whose product is the number of positions. One of them may be -1."""
    if len(extents) == 2:
        return list(extents)
    return [-1 if -1 in extents else math.prod(extents), 1]


def _along(values: NDArray[np.generic], extents: Sequence[int | None]) -> NDArray[np.generic]:
    """Broadcast weights to these last axes and flatten them to a vector."""
    kept = values.reshape(values.shape[max(0, values.ndim - len(extents)) :])
    if None in extents:
        return kept.reshape(-1)
    try:
        return np.broadcast_to(kept, [extent or 0 for extent in extents]).flatten()
    except ValueError as error:
        raise WeightsError(
            f"damaged: it has weights of the shape {values.shape} for {list(extents)}"
        ) from error


def with_last_axis(c: LayerCall, x: Tensor, axis: int) -> tuple[Tensor, Back]:
    """Move an axis (the batch is axis 0) to the end. Returns the tensor, and a function that moves it back."""
    rank = len(x.shape)
    if axis == rank - 1:
        return x, lambda y: y
    if axis == 0:
        raise UnsupportedError(f"it normalises along the batch of {x.shape}")
    order = [one for one in range(1, rank) if one != axis] + [axis]
    moved = c.network.transpose(x, order, name=c.name("/last"))
    inverse = [order.index(one) + 1 for one in range(1, rank)]
    return moved, lambda y: c.network.transpose(y, inverse, name=c.name("/axes"))
