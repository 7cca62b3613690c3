"""Convert TensorFlow Lite's operators that read or write elements at positions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mpscnn.converters.flat_indices import numbers_at, numbers_in, scatter_to_zeros, take_flat
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.errors import UnsupportedError, WeightsError


def _top_k(o: Operation) -> Iterator[FileTensor | None]:
    """Convert TOPK_V2 of a constant number of elements of the last axis."""
    x, (count,) = o.x(), o.integers(1, "its number")
    places = x.top_k(x.rank - 1, count, largest=True)
    yield x.take_along_axis(x.rank - 1, places) if o.is_used(o.result) else None
    yield places


def _gather_nd(o: Operation) -> Made:
    """Convert GATHER_ND by constant indices."""
    x, indices = o.x(), o.stored(1, "its indices")
    if indices.dtype.kind not in "iu":
        raise WeightsError(f"damaged: its indices are {indices.dtype}")
    numbers = numbers_in(o.budget, x, indices)
    rest = x.trial_shapes()[1][indices.shape[-1] :]
    return take_flat(x, numbers, [*indices.shape[:-1], *rest] or [1])


def _scatter_nd(o: Operation) -> Made:
    """Convert SCATTER_ND by constant indices, which adds elements to zeros. No element may be written twice."""
    indices, shape = o.stored(0, "its indices"), o.integers(2, "its shape")
    if indices.dtype.kind not in "iu" or min(shape, default=0) < 1:
        raise WeightsError(f"damaged: its indices are {indices.dtype}, its shape {shape}")
    if o.c.integers.grid(o.result) is not None:
        raise UnsupportedError(
            "writes integers with a scale between zeros without one, which is not supported"
        )
    numbers = numbers_at(o.budget, shape, indices)
    if np.unique(numbers).size != numbers.size:
        raise UnsupportedError("adds several elements at one position, which is not supported")
    return scatter_to_zeros(o.x(1), numbers, shape)


INDEXING: dict[str, Handler] = {"GATHER_ND": _gather_nd, "SCATTER_ND": _scatter_nd, "TOPK_V2": _top_k}
