"""Fold arithmetic on shapes during conversion.

Frameworks export code such as `x.shape[0]` as SHAPE, STRIDED_SLICE, PACK, ... With static shapes all of it is constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.budget import Cost
from mpscnn.converters.strided_slice import MASKS, indices
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError

Constant = NDArray[np.generic]

FREE = -(1 << 40)
"""The number that represents a free extent in shapes. It can be moved, but arithmetic with it is refused."""

# The maximum size of operands and results. Shapes have up to 8 axes; larger arrays could grow with each operator.
_MAX_ELEMENTS = 64


def constant_shape(extents: Sequence[int | None]) -> Constant:
    """Return the result of SHAPE."""
    return np.array([FREE if extent is None else extent for extent in extents], np.int64)


def knows(kind: str) -> bool:
    """Return True if `fold` can compute an operator."""
    return kind in _FUNCTIONS


def fold(kind: str, inputs: list[Constant], options: Table | None) -> Constant:
    """Return the result of an operator that `knows` accepts.

    Raises UnsupportedError for more elements than arithmetic on shapes has, and for arithmetic with a free extent.
    """
    function, moved = _FUNCTIONS[kind]
    if any(_has_free(given) for given in inputs[len(inputs) if moved is None else moved :]):
        raise UnsupportedError(f"computes with the size of the image, which is free: {CHOOSE_SIZE}")
    small = all(given.size <= _MAX_ELEMENTS for given in inputs) or kind in _NEVER_LARGER
    result = function(inputs, options) if small else None
    if result is None or (result.size > _MAX_ELEMENTS and kind not in _NEVER_LARGER):
        raise UnsupportedError(
            f"arithmetic on constants of more than {_MAX_ELEMENTS} elements is not supported"
        )
    return result


def cost_of(kind: str, inputs: list[Constant]) -> Cost:
    """Return the cost of `fold`. Operands are small, or results are views of them."""
    if kind == "FILL":
        return Cost.filled(math.prod(max(int(extent), 1) for extent in inputs[0].reshape(-1)[:_MAX_ELEMENTS]))
    if kind in _NEVER_LARGER:
        copied = 0 if inputs[0].flags.c_contiguous else inputs[0].size
        return Cost(_MAX_ELEMENTS + copied, _MAX_ELEMENTS + copied)
    max_work = _MAX_ELEMENTS * (_MAX_ELEMENTS + len(inputs))
    return Cost(max_work, max_work)


def _has_free(given: Constant) -> bool:
    """Return True if an array contains a free extent. Large arrays are not shapes and are not searched."""
    return given.size <= _MAX_ELEMENTS and bool((given == FREE).any())


def strided_indices(ranges: Sequence[Sequence[Any]], options: Table | None) -> list[Any]:
    """Return the indices of STRIDED_SLICE. An axis that is removed begins at 0 if its begin is masked."""
    masks = [options.integer(field) if options else 0 for field in range(len(MASKS))]
    begins = [0 if masks[0] >> place & 1 else number for place, number in enumerate(ranges[0])]
    return indices([begins, *ranges[1:]], masks)


def _strided_slice(inputs: list[Constant], options: Table | None) -> Constant:
    source, *ranges = inputs
    return np.asarray(source[tuple(strided_indices([list(one) for one in ranges], options))])


def _pack(inputs: list[Constant], options: Table | None) -> Constant:
    return np.stack(inputs, axis=options.integer(1) if options else 0)


def _concatenate(inputs: list[Constant], options: Table | None) -> Constant:
    return np.concatenate(inputs, axis=options.integer(0) if options else 0)


def _gather(inputs: list[Constant], options: Table | None) -> Constant:
    return np.take(inputs[0], inputs[1].astype(np.int64), axis=options.integer(0) if options else 0)


def _slice(inputs: list[Constant], _: Table | None) -> Constant:
    source, begin, size = inputs
    parts = [
        slice(int(first), None if int(count) == -1 else int(first) + int(count))
        for first, count in zip(begin, size, strict=True)
    ]
    return np.asarray(source[tuple(parts)])


def _range(inputs: list[Constant], _: Table | None) -> Constant:
    start, stop, step = (int(given.reshape(-1)[0]) for given in inputs)
    numbers = range(start, stop, step)
    if len(numbers) > _MAX_ELEMENTS:
        raise UnsupportedError(f"a range of {len(numbers)} numbers; supported are {_MAX_ELEMENTS}")
    return np.array(numbers, inputs[0].dtype)


def _filled(inputs: list[Constant], _: Table | None) -> Constant:
    """Compute FILL as a broadcast array, which stores one number only. A caller that copies it counts its size."""
    return np.broadcast_to(inputs[1].reshape(()), [int(extent) for extent in inputs[0]])


def _quotient(inputs: list[Constant], _: Table | None) -> Constant:
    if all(given.dtype.kind in "iu" for given in inputs):
        return np.floor_divide(*inputs)
    return np.divide(*inputs)


def _product(inputs: list[Constant], options: Table | None) -> Constant:
    axes = tuple(int(axis) for axis in inputs[1].reshape(-1))
    return np.asarray(
        np.prod(inputs[0].astype(np.int64), axis=axes, keepdims=bool(options and options.boolean(0)))
    )


# The function that computes each operator, and the number of its first inputs that may contain free extents because the
# operator only moves their elements. None: all inputs.
_FUNCTIONS: dict[str, tuple[Callable[[list[Constant], Table | None], Constant], int | None]] = {
    "STRIDED_SLICE": (_strided_slice, 1),
    "PACK": (_pack, None),
    "CONCATENATION": (_concatenate, None),
    "GATHER": (_gather, 1),
    "MUL": (lambda inputs, _: np.multiply(inputs[0], inputs[1]), 0),
    "ADD": (lambda inputs, _: np.add(inputs[0], inputs[1]), 0),
    "SUB": (lambda inputs, _: np.subtract(inputs[0], inputs[1]), 0),
    "CAST": (lambda inputs, _: inputs[0], 1),
    "RESHAPE": (lambda inputs, _: inputs[0].reshape(inputs[1].astype(np.int64)), 1),
    "BROADCAST_ARGS": (
        lambda inputs, _: np.array(np.broadcast_shapes(*(tuple(map(int, one)) for one in inputs)), np.int64),
        0,
    ),
    "DIV": (_quotient, 0),
    "EXPAND_DIMS": (lambda inputs, _: np.expand_dims(inputs[0], int(inputs[1].reshape(-1)[0])), 1),
    "FILL": (_filled, 0),
    "FLOOR_DIV": (_quotient, 0),
    "MAXIMUM": (lambda inputs, _: np.maximum(inputs[0], inputs[1]), 0),
    "MINIMUM": (lambda inputs, _: np.minimum(inputs[0], inputs[1]), 0),
    "RANGE": (_range, 0),
    "REDUCE_PROD": (_product, 0),
    "SLICE": (_slice, 1),
    "TRANSPOSE": (lambda inputs, _: inputs[0].transpose([int(axis) for axis in inputs[1]]), 1),
    "SQUEEZE": (lambda inputs, _: np.squeeze(inputs[0]), 1),
}
KINDS = frozenset({*_FUNCTIONS, "RANK", "SHAPE"})
"""The operators that may be folded."""

_NEVER_LARGER = ("CAST", "EXPAND_DIMS", "FILL", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")
