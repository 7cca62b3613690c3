"""Read sparse tensors, of which a file stores only some elements, usually those that are not 0.

The format is `SparsityParameters` of TensorFlow's schema.fbs. The tensor's axes may be divided into blocks. The levels
of storage are these axes and the axes within blocks, in a stated order. Each level is dense, or lists its positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.tflite.flatbuffer import Table
from mpscnn.errors import UnsupportedError, WeightsError

Whole = NDArray[np.int64]
_LISTS = {1: "<i4", 2: "<u2", 3: "u1"}  # NumPy's types of lists by the schema's number


@dataclass(frozen=True)
class Level:
    """One level of storage. A dense level has only an `extent`.

    Other levels are stored as in CSR: the positions of row i are `positions[segments[i] : segments[i + 1]]`.
    """

    extent: int
    segments: Whole | None
    positions: Whole | None


@dataclass(frozen=True)
class Sparsity:
    """The storage format of a sparse tensor: the order of the axes, the axes with blocks, and the levels."""

    order: tuple[int, ...]
    block_axes: tuple[int, ...]
    levels: tuple[Level, ...]


def read_sparsity(entry: Table, rank: int) -> Sparsity:
    """Read a tensor's storage format. Raises WeightsError if it contradicts itself."""
    order, blocks = (
        tuple(int(one) for one in entry.numbers(field, "<i4")[: 2 * rank + 1]) for field in (0, 1)
    )
    levels = tuple(_level(one) for one in entry.tables(2)[: 2 * rank + 1])
    count = rank + len(blocks)
    if sorted(order) != list(range(count)) or len(levels) != count or len(set(blocks)) != len(blocks):
        raise WeightsError(
            f"damaged: a sparse tensor of {rank} axes is stored by axes {order}, blocks {blocks}"
        )
    if any(not 0 <= axis < rank for axis in blocks):
        raise WeightsError(f"damaged: a sparse tensor of {rank} axes has blocks along {blocks}")
    return Sparsity(order, blocks, levels)


def _level(entry: Table) -> Level:
    if entry.integer(0, "b") == 0:
        return Level(entry.integer(1), None, None)
    return Level(0, _list(entry, 2), _list(entry, 4))


def _list(entry: Table, field: int) -> Whole:
    kind, table = entry.integer(field, "B"), entry.table(field + 1)
    if kind not in _LISTS or table is None:
        raise WeightsError(f"damaged: a sparse tensor has a list of type {kind}")
    return table.numbers(0, _LISTS[kind]).astype(np.int64)


def densify(values: NDArray[np.generic], sparsity: Sparsity, shape: Sequence[int]) -> NDArray[np.generic]:
    """Return a tensor with all its elements. The caller must limit the size of `shape`.

    Args:
        values: the stored elements, in the order of storage.
        sparsity: the storage format.
        shape: the shape of the tensor.
    """
    extents, strides = _axes(sparsity, shape)
    # A level never needs more rows than there are stored elements, or segments of a level below it.
    maximum = max([values.size, *(one.segments.size for one in sparsity.levels if one.segments is not None)])
    # For each row of the current level: its offset in the tensor, and its number.
    flat = rows = np.zeros(1, np.int64)
    for level, axis in zip(sparsity.levels, sparsity.order, strict=True):
        extent = extents[axis]
        if level.segments is None or level.positions is None:
            if level.extent != extent or rows.size * extent > maximum:
                raise WeightsError(
                    f"damaged: a sparse tensor {tuple(shape)} of {values.size} elements has {level.extent} positions "
                    f"on an axis of {extent}"
                )
            parent = np.repeat(np.arange(rows.size), extent)
            here = np.tile(np.arange(extent), rows.size)
        else:
            parent, here = _listed(level.segments, level.positions, rows.size, extent)
        flat = flat[parent] + here * strides[axis]
        rows = np.arange(here.size)
    if rows.size != values.size:
        raise WeightsError(
            f"damaged: a sparse tensor stores {values.size} elements, but lists {rows.size} places"
        )
    result = np.zeros(math.prod(shape), values.dtype)
    result[flat] = values
    return result.reshape(shape)


def _listed(segments: Whole, positions: Whole, rows: int, extent: int) -> tuple[Whole, Whole]:
    """Return two arrays with an element for each stored position, as in CSR: its row, and the position in that row.

    `segments` holds where the positions of each of the `rows` begin.
    """
    if segments.size != rows + 1 or segments[0] != 0 or segments[-1] != positions.size:
        raise WeightsError("damaged: the segments of a sparse tensor do not fit its positions")
    counts = np.diff(segments)
    if (counts < 0).any() or (positions.size and not 0 <= positions.min() <= positions.max() < extent):
        raise WeightsError(f"damaged: a sparse tensor has positions outside its {extent}")
    return np.repeat(np.arange(rows), counts), positions


def _axes(sparsity: Sparsity, shape: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return extents and strides of the levels: the axes divided by their blocks, and the axes within blocks."""
    stored = dict(zip(sparsity.order, sparsity.levels, strict=True))
    extents = list(shape)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    for number, axis in enumerate(sparsity.block_axes):
        block = stored[len(shape) + number]
        if block.positions is not None:
            raise UnsupportedError("is stored with sparse blocks, which is not supported")
        if block.extent < 1 or shape[axis] % block.extent:
            raise WeightsError(
                f"damaged: a sparse tensor {tuple(shape)} has blocks of {block.extent} along {axis}"
            )
        extents[axis] //= block.extent
        extents.append(block.extent)
        strides.append(strides[axis])
        strides[axis] *= block.extent
    return extents, strides
