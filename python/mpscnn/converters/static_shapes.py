"""Arithmetic on shapes that a file does with operators, done once while converting.

Frameworks write `x.shape[0]`-style code as SHAPE, STRIDED_SLICE, PACK, ...: with static shapes all of it is constant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.flatbuffer import Table

Constant = NDArray[np.generic]


def fold(kind: str, inputs: list[Constant], options: Table | None) -> Constant | None:
    """The operator's result for constant inputs; None for an operator that is not shape arithmetic."""
    function = _FUNCTIONS.get(kind)
    return None if function is None else function(inputs, options)


def _strided_slice(inputs: list[Constant], options: Table | None) -> Constant:
    source, begin, end, strides = inputs
    masks = [options.integer(field) if options else 0 for field in range(5)]
    begin_mask, end_mask, _, _, shrink_mask = masks
    index: list[int | slice] = []
    for axis in range(len(begin)):
        first, last, step = int(begin[axis]), int(end[axis]), int(strides[axis])
        if shrink_mask >> axis & 1:
            index.append(first)
        else:
            low = None if begin_mask >> axis & 1 else first
            index.append(slice(low, None if end_mask >> axis & 1 else last, step))
    return np.asarray(source[tuple(index)])


def _pack(inputs: list[Constant], options: Table | None) -> Constant:
    return np.stack(inputs, axis=options.integer(1) if options else 0)


def _concatenate(inputs: list[Constant], options: Table | None) -> Constant:
    return np.concatenate(inputs, axis=options.integer(0) if options else 0)


def _gather(inputs: list[Constant], options: Table | None) -> Constant:
    return np.take(inputs[0], inputs[1].astype(np.int64), axis=options.integer(0) if options else 0)


_FUNCTIONS: dict[str, Callable[[list[Constant], Table | None], Constant]] = {
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "CONCATENATION": _concatenate,
    "GATHER": _gather,
    "MUL": lambda inputs, _: np.multiply(inputs[0], inputs[1]),
    "ADD": lambda inputs, _: np.add(inputs[0], inputs[1]),
    "SUB": lambda inputs, _: np.subtract(inputs[0], inputs[1]),
    "CAST": lambda inputs, _: inputs[0],
    "RESHAPE": lambda inputs, _: inputs[0].reshape(inputs[1].astype(np.int64)),
    "SQUEEZE": lambda inputs, _: np.squeeze(inputs[0]),
}
