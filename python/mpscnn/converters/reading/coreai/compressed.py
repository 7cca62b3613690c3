"""Decompress the weights of Core AI's programs: palettes, sparse elements, and scales for blocks or channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.reading.coreai.program import Operation
from mpscnn.converters.values import block_weights
from mpscnn.converters.values.stored_integers import StoredIntegers
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]
COMPRESSED = (
    "blockwise_shift_scale", "build_sparse_with_bitmask", "lut_to_dense", "lut_to_sparse_with_bitmask",
    "sparse_with_bitmask_to_dense",
)  # fmt: skip
"""The operations that decompress weights."""
_COUNTS = {"blockwise_shift_scale": 4, "sparse_with_bitmask_to_dense": 1, "build_sparse_with_bitmask": 2}
_TABLES = 3  # the operands of palettes


def decompressed(
    operation: Operation, operands: Sequence[Array], budget: Budget
) -> tuple[Array, StoredIntegers | None]:
    """Return the elements of a compressed weight, and its integers if each filter has one scale.

    Sparse weights are dense arrays from the beginning.

    Raises UnsupportedError if that takes far more than the file's size, and WeightsError for operands that contradict
    each other.
    """

    def spend(count: int) -> None:
        budget.spend(Cost(count, count))

    kind = operation.kind
    if len(operands) != _COUNTS.get(kind, _TABLES):
        raise WeightsError(f"damaged: {len(operands)} operands of {kind}")
    if kind == "sparse_with_bitmask_to_dense":
        return operands[0], None
    if kind == "build_sparse_with_bitmask":
        values, mask = operands
        return block_weights.fill(values, mask.astype(bool), spend), None
    if kind == "blockwise_shift_scale":
        data, scale, offset, least = operands
        return _scaled(data, scale, offset, least, spend)
    if kind == "lut_to_sparse_with_bitmask":
        raise UnsupportedError("sparse palettes are not supported: compress the weights by one way")
    places, tables, axis = operands
    if axis.size != 1:
        raise WeightsError(f"damaged: its axis has the shape {axis.shape}")
    return block_weights.look_up(places, tables, int(axis.reshape(())), spend), None


def _scaled(
    data: Array, scale: Array, offset: Array, least: Array, spend: block_weights.Spend
) -> tuple[Array, StoredIntegers | None]:
    """Compute scale * (data - offset) + least, with numbers for each block."""
    parts = [
        block_weights.spread(one.astype(np.float32), data.shape, spend) for one in (scale, offset, least)
    ]
    made: Array = (data.astype(np.float32) - parts[1]) * parts[0]
    if least.any():
        return made + parts[2], None
    of_filters = math.prod(scale.shape) in (1, *scale.shape[:1]) and data.dtype.kind in "iu"
    if not of_filters or data.dtype.itemsize > 1:
        return made, None
    return made, StoredIntegers(
        data, scale.astype(np.float32).reshape(-1), offset.reshape(-1).astype(data.dtype)
    )
