"""Convert TensorFlow Lite's operators that read or write elements at positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from mpscnn.converters.reading.tflite.operation import Operation
from mpscnn.converters.reading.tflite.row_calls import Given, X
from mpscnn.converters.values.flat_indices import numbers_at, numbers_in, scatter_to_zeros, take_flat
from mpscnn.converters.values.rows import Ints, Operand, Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError


def _top_k(op: Operation, x: X, count: Annotated[int, Operand("its number")]) -> Iterator[FileTensor | None]:
    """Convert TOPK_V2 of a constant number of elements of the last axis."""
    places = x.top_k(x.rank - 1, count, largest=True)
    yield x.take_along_axis(x.rank - 1, places) if op.c.is_used(op.result) else None
    yield places


def _gather_nd(op: Operation, x: X, positions: Given) -> Value:
    """Convert GATHER_ND by constant indices."""
    indices = positions.stored("its indices")
    if indices.dtype.kind not in "iu":
        raise WeightsError(f"damaged: its indices are {indices.dtype}")
    numbers = numbers_in(op.budget, x, indices)
    rest = x.trial_shapes()[1][indices.shape[-1] :]
    return take_flat(x, numbers, [*indices.shape[:-1], *rest] or [1])


def _scatter_nd(
    op: Operation, positions: Given, x: Given, shape: Annotated[Ints, Operand("its shape")]
) -> Value:
    """Convert SCATTER_ND by constant indices, which adds elements to zeros. No element may be written twice."""
    indices = positions.stored("its indices")
    if indices.dtype.kind not in "iu" or min(shape, default=0) < 1:
        raise WeightsError(f"damaged: its indices are {indices.dtype}, its shape {list(shape)}")
    if op.c.integers.grid(op.result) is not None:
        raise UnsupportedError(
            "writes integers with a scale between zeros without one, which is not supported"
        )
    numbers = numbers_at(op.budget, shape, indices)
    if np.unique(numbers).size != numbers.size:
        raise UnsupportedError("adds several elements at one position, which is not supported")
    return scatter_to_zeros(x.computed(), numbers, shape)


INDEXING: dict[str, Row] = {"GATHER_ND": _gather_nd, "SCATTER_ND": _scatter_nd, "TOPK_V2": _top_k}
