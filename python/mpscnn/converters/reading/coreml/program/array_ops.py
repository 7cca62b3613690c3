"""Convert operations of programs that slice, concatenate, reshape or transpose tensors."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.program.row_calls import (
    Array,
    Flag,
    Flags,
    Tensor,
    Tensors,
    Whole,
    Wholes,
    unary,
)
from mpscnn.converters.reading.graph.blocks import (
    depth_to_space,
    fill,
    reverse,
    slice_by_sizes,
    space_to_depth,
    split,
    split_equally,
    stack,
    take_part,
)
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Row
from mpscnn.converters.values.strided_slice import indices
from mpscnn.errors import UnsupportedError, WeightsError


def _transpose(b: Builder, x: Tensor, perm: Wholes) -> str:
    rank, order = b.rank(x), [b.axis(x, axis) for axis in perm]
    if sorted(order) != list(range(rank)):
        raise WeightsError(f"damaged: its order is {order} of {rank} axes")
    return ops.transpose(b, x, perm=order)


def _squeeze(b: Builder, x: Tensor, axes: Wholes | None = None) -> str:
    ones = [axis for axis, extent in enumerate(b.extents(x)) if extent == 1]
    dropped = ones if axes is None else list(axes)
    return ops.squeeze(b, x, dropped) if dropped else x


def _expand(b: Builder, x: Tensor, axes: Wholes) -> str:
    return ops.unsqueeze(b, x, list(axes))


def _flatten(b: Builder, x: Tensor, axis: Whole = 1) -> str:
    return ops.flatten(b, x, axis=axis)


def _reshape(b: Builder, x: Tensor, shape: Tensor) -> str:
    return ops.reshape(b, x, shape)


def _fill(b: Builder, shape: Wholes, value: Array | None = None) -> str:
    return fill(b, list(shape), 0.0 if value is None else value)


def _concat(b: Builder, values: Tensors, axis: Whole | None = None, interleave: Flag = False) -> str:
    if all(b.rank(tensor) == 0 for tensor in values):  # scalars, such as the extents of a shape
        return ops.concatenate(b, *(ops.unsqueeze(b, tensor, [0]) for tensor in values), axis=0)
    if axis is None:
        raise WeightsError("damaged: it has no axis")
    axis = b.axis(values[0], axis)
    return _interleaved(b, values, axis) if interleave else ops.concatenate(b, *values, axis=axis)


def _interleaved(b: Builder, tensors: Sequence[str], axis: int) -> str:
    """Interleave several tensors along an axis: the first position of each, the second position of each, ..."""
    shape, count = list(b.fixed_shape(tensors[0])), len(tensors)
    if axis == 0:
        raise UnsupportedError("interleaves images of the batch")
    rank, joined = len(shape), ops.concatenate(b, *tensors, axis=axis)
    apart = ops.reshape(b, joined, [0, *shape[1:axis], count, *shape[axis:]])
    order = [*range(axis), axis + 1, axis, *range(axis + 2, rank + 1)]
    shape[axis] *= count
    return ops.reshape(b, ops.transpose(b, apart, perm=order), [0, *shape[1:]])


def _split(
    b: Builder, x: Tensor, axis: Whole, num_splits: Whole | None = None, split_sizes: Wholes | None = None
) -> list[str]:
    if split_sizes is not None:
        return split(b, x, axis, list(split_sizes))
    if num_splits is None:
        raise WeightsError("damaged: it has no num_splits")
    return split_equally(b, x, axis, num_splits)


def _stack(b: Builder, values: Tensors, axis: Whole) -> str:
    return stack(b, values, axis)


def _slice_by_index(
    b: Builder, x: Tensor, begin: Wholes, end: Wholes, stride: Wholes | None = None,
    begin_mask: Flags | None = None, end_mask: Flags | None = None, squeeze_mask: Flags | None = None,
) -> str:  # fmt: skip
    """Convert slice_by_index. Masks say which axes begin at the first element, end at the last one, or are removed."""
    count = len(begin)
    if len(end) != count:
        raise WeightsError(f"damaged: {count} begins and {len(end)} ends")
    from_first, to_last, removed = (
        _mask(one, name, count)
        for one, name in ((begin_mask, "begin"), (end_mask, "end"), (squeeze_mask, "squeeze"))
    )
    strides = [1] * count if stride is None else list(stride)
    if 0 in strides:  # also of an axis that is removed
        raise WeightsError("damaged: its step is 0")
    starts = [0 if flag else first for flag, first in zip(from_first, begin, strict=True)]
    masks = [
        sum(flag << axis for axis, flag in enumerate(one)) for one in (from_first, to_last, (), (), removed)
    ]
    return take_part(b, x, indices([starts, list(end), strides], masks))


def _mask(flags: tuple[bool, ...] | None, name: str, count: int) -> tuple[bool, ...]:
    """Return a truth value for each axis. All are false if the mask is not given."""
    if flags is None:
        return (False,) * count
    if len(flags) != count:
        raise WeightsError(f"damaged: its {name}_mask are {len(flags)} values instead of {count}")
    return flags


def _slice_by_size(b: Builder, x: Tensor, begin: Wholes, size: Wholes) -> str:
    return slice_by_sizes(b, x, list(begin), list(size))


def _tile(b: Builder, x: Tensor, reps: Wholes) -> str:
    if len(reps) != b.rank(x) or not all(1 <= count < 2**31 for count in reps):
        raise WeightsError(f"damaged: repeats {list(reps[:8])} times")
    return ops.tile(b, x, list(reps))


def _reverse(b: Builder, x: Tensor, axes: Wholes | None = None) -> str:
    return reverse(b, x, list(range(b.rank(x)) if axes is None else axes))


def _block(block: int, name: str) -> int:
    if not 0 < block < 2**31:
        raise WeightsError(f"damaged: its {name} is {block}")
    return block


def _depth_to_space(b: Builder, x: Tensor, block_size: Whole) -> str:
    return depth_to_space(b, x, _block(block_size, "block_size"), shuffled=False)


def _space_to_depth(b: Builder, x: Tensor, block_size: Whole) -> str:
    return space_to_depth(b, x, _block(block_size, "block_size"))


def _pixel_shuffle(b: Builder, x: Tensor, upscale_factor: Whole) -> str:
    return depth_to_space(b, x, _block(upscale_factor, "upscale_factor"), shuffled=True)


def _pixel_unshuffle(b: Builder, x: Tensor, downscale_factor: Whole) -> str:
    return space_to_depth(b, x, _block(downscale_factor, "downscale_factor"), shuffled=True)


ARRAY_OPS: dict[str, Row] = {
    "concat": _concat,
    "depth_to_space": _depth_to_space,
    "expand_dims": _expand,
    "fill": _fill,
    "flatten2d": _flatten,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "reshape": _reshape,
    "reverse": _reverse,
    "shape": unary(ops.extents),
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "space_to_depth": _space_to_depth,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
}
