"""Compute with broadcast views, which show the same elements at many places.

A few bytes of a file may state a constant of a billion equal numbers. NumPy holds such a constant as a view with
strides of 0. The functions of this module compute with the elements that are stored, and return views again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def is_filled(array: Array) -> bool:
    """Return True if all elements of an array share one number in memory, as numpy.broadcast_to makes them."""
    return array.size > 1 and not any(
        stride for stride, extent in zip(array.strides, array.shape, strict=True) if extent > 1
    )


def stored(array: Array) -> Array:
    """Return the view without repeated elements: each axis along which all are equal gets the extent 1."""
    repeated = [axis for axis, stride in enumerate(array.strides) if stride == 0]
    return _without(array, repeated) if repeated and array.size else array


def stored_operands(arrays: Sequence[Array]) -> tuple[list[Array], tuple[int, ...]]:
    """Return the operands of an elementwise operator without the axes along which all of them are equal.

    Returns:
        The operands, in which these axes have the extent 1, and the shape of the operator's whole result.

    Raises:
        ValueError: the operands cannot be broadcast to one shape.
    """
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    if not any(0 in array.strides for array in arrays) or 0 in shape:
        return list(arrays), shape
    repeated = [
        place
        for place in range(-len(shape), 0)
        if all(
            -place > array.ndim or array.shape[place] == 1 or array.strides[place] == 0 for array in arrays
        )
    ]
    return [_without(array, [place for place in repeated if -place <= array.ndim]) for array in arrays], shape


def _without(array: Array, axes: Sequence[int]) -> Array:
    """Return the first position of each of these axes."""
    parts = [slice(None)] * array.ndim
    for axis in axes:
        parts[axis] = slice(0, 1)
    return array[tuple(parts)]
