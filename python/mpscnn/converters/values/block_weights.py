"""Decompress weights of Core ML's and Core AI's files: numbers for each block, palettes, and sparse elements.

The functions count the elements that they make by `spend` before they make them, and raise WeightsError for operands
that contradict each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import WeightsError

Array = NDArray[Any]
Spend = Callable[[int], object]


def spread(values: Array, shape: tuple[int, ...], spend: Spend) -> Array:
    """Repeat each element of a block's parameter over the elements of the block."""
    if values.ndim != len(shape) or any(
        one < 1 or extent % one for one, extent in zip(values.shape, shape, strict=True)
    ):
        raise WeightsError(f"damaged: blocks of {values.shape} in {shape}")
    spend(math.prod(shape))
    for axis, (one, extent) in enumerate(zip(values.shape, shape, strict=True)):
        values = np.repeat(values, extent // one, axis)
    return values


def look_up(places: Array, tables: Array, axis: int | None, spend: Spend) -> Array:
    """Look up places in a table for each block. Entries of tables are numbers, or vectors along an axis."""
    rank = places.ndim
    if tables.ndim != rank + 2 or places.size == 0:
        raise WeightsError(f"damaged: tables of the shape {tables.shape} for {places.shape}")
    entries, length = tables.shape[-2:]
    if int(places.max()) >= entries:
        raise WeightsError(f"damaged: place {int(places.max())} of tables with {entries} entries")
    if length != 1 and axis is None:
        raise WeightsError(f"damaged: it has no axis for its vectors of {length} elements")
    axis = axis or 0
    if not -rank <= axis < rank:
        raise WeightsError(f"damaged: axis {axis} of {rank}")
    blocks = tables.shape[:-2]
    table_of = spread(np.arange(math.prod(blocks)).reshape(blocks), places.shape, spend)
    spend(places.size * length)
    vectors = tables.reshape(-1, entries, length)[table_of, places]
    made: Array = np.moveaxis(vectors, -1, axis % rank + 1)
    shape = list(places.shape)
    shape[axis % rank] *= length
    return made.reshape(shape)


def fill(values: Array, mask: Array, spend: Spend) -> Array:
    """Return an array with the values where a mask has ones, and zeros elsewhere."""
    if int(mask.sum()) != values.size:
        raise WeightsError(f"damaged: {values.size} numbers for {int(mask.sum())} ones of a mask")
    spend(mask.size)
    made = np.zeros(mask.shape, values.dtype)
    made[mask] = values.reshape(-1)
    return made
