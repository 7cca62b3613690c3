"""Compose operators of the vocabulary into functions that several readers use."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import FLOAT, INT64, Builder
from mpscnn.converters.reading.onnx.expansions import Operand
from mpscnn.converters.values.slicing import as_slice
from mpscnn.converters.values.strided_slice import expand_indices, from_begins_and_sizes
from mpscnn.errors import UnsupportedError, WeightsError


def fill(b: Builder, shape: Sequence[int], number: NDArray[Any] | float) -> str:
    """Add a constant whose elements are all one number: whole if the number is an integer, otherwise float32."""
    if min(shape, default=1) < 1:
        raise UnsupportedError(f"a constant of the shape {list(shape[:8])}")
    value = np.asarray(number).reshape(())
    kind = np.int64 if value.dtype.kind in "iu" else np.float32
    return b.weight("value", np.broadcast_to(value.astype(kind), shape))


def compare(b: Builder, comparison: ops.Binary, x: str, y: Operand, *, opposite: bool = False) -> str:
    """Compare two tensors: 1 where the comparison holds, otherwise 0. With `opposite` the result is negated."""
    truth = comparison(b, x, y)
    if opposite:
        truth = ops.logical_not(b, truth)
    return ops.cast(b, truth, to=FLOAT)


def fold(b: Builder, function: ops.Binary, tensors: Sequence[str]) -> str:
    """Apply a function of two operands to several tensors, from left to right."""
    result = tensors[0]
    for tensor in tensors[1:]:
        result = function(b, result, tensor)
    return result


def transpose_last_axes(b: Builder, x: str) -> str:
    """Transpose the last two axes."""
    rank = b.rank(x)
    if rank < 2:
        raise WeightsError("damaged: transposes a vector")
    return ops.transpose(b, x, perm=[*range(rank - 2), rank - 1, rank - 2])


def cast_to_int(b: Builder, x: str) -> str:
    """Return a tensor as whole numbers: positions may be stored as floats."""
    return x if b.is_integer(x) else ops.cast(b, x, to=INT64)


def cast_to_float(b: Builder, positions: str) -> str:
    """Return positions as floats, as the blobs of Caffe and of Core ML's neural networks are."""
    return ops.cast(b, positions, to=FLOAT)


def cast_to_integers(b: Builder, x: str, dtype: str) -> str:
    """Add a cast to an integer type of NumPy. Integers keep their values.

    Floats beyond the range of 8 or 16 bits become the nearest integer of the type: formats do not define them, but no
    result may lie outside of its type. Wider types hold the whole numbers of float32 that matter.
    """
    if b.is_integer(x):
        return x
    limits = np.iinfo(dtype)
    if limits.bits < 32 and not b.is_boolean(x):
        x = ops.clip(b, x, limits.min, limits.max)
    return ops.cast(b, x, to=INT64)


def l2_normalize(b: Builder, x: str, axes: Sequence[int], epsilon: float, *, at_once: bool = False) -> str:
    """Return x / sqrt(sum of squares + epsilon) over some axes.

    With `at_once`, this is one operator where that is possible. It is read several times as fast, but factors after it
    do not become a part of its layer.
    """
    if at_once and epsilon > 0.0 and b.constant_of(x) is None:
        extents = b.extents(x)
        places = sorted(b.axis(x, axis) for axis in axes)
        if 0 not in places and all(extents[place] for place in places):
            return ops.unit_norm(b, x, axes=places, epsilon=epsilon)
    sums = ops.reduce_sum(b, ops.multiply(b, x, x), axes, keepdims=True)
    return ops.divide(b, x, ops.sqrt(b, ops.add(b, sums, epsilon)))


def standardize(b: Builder, x: str, axes: Sequence[int], epsilon: float | None) -> str:
    """Return (x - mean) / sqrt(variance + epsilon) over some axes; without an epsilon, x - mean."""
    difference = ops.subtract(b, x, ops.reduce_mean(b, x, axes, keepdims=True))
    if epsilon is None:
        return difference
    squares = ops.multiply(b, difference, difference)
    variance = ops.reduce_mean(b, squares, axes, keepdims=True)
    return ops.divide(b, difference, ops.sqrt(b, ops.add(b, variance, epsilon)))


def space_to_depth(b: Builder, x: str, block: int, *, shuffled: bool = False) -> str:
    """Move blocks of pixels into channels.

    The new channels are ordered by position in the block, then channel, or with `shuffled` the other way round.
    """
    image(b, x)
    return ops.space_to_depth(b, x, blocksize=block, mode="CRD" if shuffled else "DCR")


def depth_to_space(b: Builder, x: str, block: int, *, shuffled: bool) -> str:
    """Move channels into blocks of pixels.

    The channels are ordered by position in the block, then channel, or with `shuffled` the other way round.
    """
    return ops.depth_to_space(b, x, blocksize=block, mode="CRD" if shuffled else "DCR")


def image(b: Builder, x: str) -> tuple[int, int, int, int]:
    """Return the shape of an image (batch, channels, height, width)."""
    shape = b.fixed_shape(x)
    if len(shape) != 4:
        raise UnsupportedError(f"its input is {shape}; supported are images")
    return shape[0], shape[1], shape[2], shape[3]


def split(b: Builder, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
    """Split a tensor along an axis into parts of these sizes."""
    extent = b.extents(x)[b.axis(x, axis)]
    if not sizes or min(sizes) < 1 or (extent is not None and sum(sizes) != extent):
        raise WeightsError(f"damaged: divides {extent} into {list(sizes)[:5]}")
    if len(sizes) == 1:
        return [x]
    return ops.split(b, x, sizes, axis=axis)


def split_equally(b: Builder, x: str, axis: int, count: int) -> list[str]:
    """Split a tensor along an axis into equal parts."""
    extent = b.extents(x)[b.axis(x, axis)]
    if extent is None:
        raise UnsupportedError("divides an axis whose extent is not known")
    if not 0 < count <= extent or extent % count:
        raise WeightsError(f"damaged: divides {extent} into {count} parts")
    return split(b, x, axis, [extent // count] * count)


def stack(b: Builder, tensors: Sequence[str], axis: int) -> str:
    """Stack tensors of one shape along a new axis."""
    extents = b.extents(tensors[0])
    rank = len(extents)
    if not -rank - 1 <= axis <= rank:
        raise WeightsError(f"damaged: stacks along axis {axis} of {rank + 1}")
    axis %= rank + 1
    if 0 < axis < rank and None not in extents[1:]:
        # Concatenating and then reshaping avoids the insertion of an axis into each tensor.
        shape = [extent or 0 for extent in extents[1:]]
        joined = ops.concatenate(b, *tensors, axis=axis)
        return ops.reshape(b, joined, [0, *shape[: axis - 1], len(tensors), *shape[axis - 1 :]])
    return ops.concatenate(b, *(ops.unsqueeze(b, tensor, [axis]) for tensor in tensors), axis=axis)


def pad(b: Builder, x: str, amounts: Sequence[int], mode: str, value: float = 0.0) -> str:
    """Pad the last axes. `amounts` has (before, after) for each of them.

    `mode` is one of ONNX' Pad, or "symmetric", which mirrors the elements at the edges, too.
    """
    rank, count = b.rank(x), len(amounts) // 2
    if len(amounts) % 2 or count > rank or min(amounts, default=0) < 0:
        raise WeightsError(f"damaged: a border of {list(amounts)[:16]} for {rank} axes")
    before, after = [0] * (rank - count), [0] * (rank - count)
    before += amounts[0::2]
    after += amounts[1::2]
    if not any(before + after):
        return x
    if mode == "symmetric":
        extents = [extent or max(sides) for extent, *sides in zip(b.extents(x), before, after, strict=True)]
        if any(max(sides) > extent for extent, *sides in zip(extents, before, after, strict=True)):
            raise WeightsError(f"damaged: mirrors {before} and {after} elements of {extents}")
    pads = [*before, *after]
    if mode != "constant":
        return ops.pad(b, x, pads, mode=mode)
    return ops.pad(b, x, pads, b.weight("value", np.asarray(value, np.float32)), mode=mode)


def take_part(b: Builder, x: str, entries: Sequence[int | slice | EllipsisType | None]) -> str:
    """Return x[entries] by the indices of NumPy: numbers, slices, None for new axes, and at most one Ellipsis.

    Raises WeightsError if there is not an index for each axis.
    """
    rank, count = b.rank(x), sum(entry is not None for entry in entries)
    if Ellipsis not in entries and count != rank:
        raise WeightsError(f"damaged: takes parts along {count} of {rank} axes")
    expanded = expand_indices(entries, rank)
    own = [entry for entry in expanded if entry is not None]
    left = [entry for entry in expanded if not isinstance(entry, int)]
    parts = [as_slice(entry) for entry in own]
    if any(part.start or part.stop is not None or part.step not in (None, 1) for part in parts):
        x = ops.part(b, x, entries=parts)
    if len(left) < len(expanded):
        x = ops.squeeze(b, x, [axis for axis, entry in enumerate(own) if isinstance(entry, int)])
    if len(own) < len(expanded):
        x = ops.unsqueeze(b, x, [axis for axis, entry in enumerate(left) if entry is None])
    return x


def cut(b: Builder, x: str, before: Sequence[int], after: Sequence[int]) -> str:
    """Cut off elements at the beginning and at the end of the last axes."""
    return take_part(
        b, x, [..., *(slice(first, -last or None) for first, last in zip(before, after, strict=True))]
    )


def reverse(b: Builder, x: str, axes: Sequence[int]) -> str:
    """Reverse some axes."""
    chosen = {b.axis(x, axis) for axis in axes}
    return take_part(b, x, [slice(None, None, -1 if axis in chosen else 1) for axis in range(b.rank(x))])


def crop(b: Builder, x: str, axes: Sequence[int], begins: Sequence[int], sizes: Sequence[int]) -> str:
    """Return the part of a tensor that has these begins and sizes along some axes. It must lie within the tensor."""
    extents = b.extents(x)
    parts = {axis: slice(begin, begin + size) for axis, begin, size in zip(axes, begins, sizes, strict=True)}
    if any(part.stop > (extents[axis] or part.stop) for axis, part in parts.items()):
        ends = [part.stop for part in parts.values()]
        raise WeightsError(f"damaged: crops axes {list(axes)} of {extents} from {list(begins)} to {ends}")
    return take_part(b, x, [parts.get(axis, slice(None)) for axis in range(len(extents))])


def slice_by_sizes(b: Builder, x: str, begins: Sequence[int], sizes: Sequence[int]) -> str:
    """Return the part of a tensor with these begins and sizes. A size of -1 extends to the end of the axis."""
    if len(begins) != len(sizes) or min([*begins, *sizes], default=0) < -1 or 0 in sizes:
        raise WeightsError(f"damaged: takes {list(sizes)} from {list(begins)} on")
    return take_part(b, x, from_begins_and_sizes(begins, sizes))
