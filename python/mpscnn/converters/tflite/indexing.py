"""Convert TensorFlow Lite's operators that read or write elements at positions."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.flat_indices import numbers_at, numbers_in
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.errors import UnsupportedError, WeightsError


def _top_k(c: Reader, operator: FileOperator) -> None:
    """Convert TOPK_V2 of a constant number of elements of the last axis."""
    (count,) = c.constants.integers(operator.inputs[1], "its number")
    x = c.seen(operator.inputs[0])
    values, indices = (*operator.outputs, -1)[:2]
    places = x.top_k(x.rank - 1, count, largest=True)
    if values in c.results or c.file.users.get(values):
        c.set_value(values, x.take_along_axis(x.rank - 1, places))
    if indices >= 0:
        c.begin(indices)
        c.set_value(indices, places)


def _gather_nd(c: Reader, operator: FileOperator) -> Made:
    """Convert GATHER_ND by constant indices."""
    x = c.seen(operator.inputs[0])
    indices = c.constants.stored(operator.inputs[1], "its indices")
    if indices.dtype.kind not in "iu":
        raise WeightsError(f"damaged: its indices are {indices.dtype}")
    numbers = numbers_in(c.constants.budget, x, indices)
    rest = x.trial_shapes()[1][indices.shape[-1] :]
    return x.take_flat(numbers, [*indices.shape[:-1], *rest] or [1])


def _scatter_nd(c: Reader, operator: FileOperator) -> Made:
    """Convert SCATTER_ND by constant indices, which adds elements to zeros. No element may be written twice."""
    indices = c.constants.stored(operator.inputs[0], "its indices")
    shape = c.constants.integers(operator.inputs[2], "its shape")
    updates: FileTensor = c.seen(operator.inputs[1])
    if indices.dtype.kind not in "iu" or min(shape, default=0) < 1:
        raise WeightsError(f"damaged: its indices are {indices.dtype}, its shape {shape}")
    if c.grid(operator.outputs[0]) is not None:
        raise UnsupportedError(
            "writes integers with a scale between zeros without one, which is not supported"
        )
    numbers = numbers_at(c.constants.budget, shape, indices)
    if np.unique(numbers).size != numbers.size:
        raise UnsupportedError("adds several elements at one position, which is not supported")
    return updates.scatter_to_zeros(numbers, shape)


INDEXING: dict[str, Handler] = {"GATHER_ND": _gather_nd, "SCATTER_ND": _scatter_nd, "TOPK_V2": _top_k}
