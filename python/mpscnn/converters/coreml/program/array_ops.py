"""Convert operations of programs that slice, concatenate, reshape or transpose tensors."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.onnx_graph.blocks import (
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
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.strided_slice import indices
from mpscnn.errors import UnsupportedError, WeightsError


def _transpose(b: Builder, op: Operation) -> str:
    x, rank = op.tensor("x"), b.rank(op.tensor("x"))
    order = [b.axis(x, axis) for axis in op.integers("perm")]
    if sorted(order) != list(range(rank)):
        raise WeightsError(f"damaged: its order is {order} of {rank} axes")
    return b.op("Transpose", x, perm=order)


def _squeeze(b: Builder, op: Operation) -> str:
    x = op.tensor("x")
    ones = [axis for axis, extent in enumerate(b.extents(x)) if extent == 1]
    axes = op.integers("axes", ones)
    return b.op("Squeeze", x, axes) if axes else x


def _concat(b: Builder, op: Operation) -> str:
    tensors = op.tensors("values")
    if all(b.rank(tensor) == 0 for tensor in tensors):  # scalars, such as the extents of a shape
        return b.op("Concat", *(b.op("Unsqueeze", tensor, [0]) for tensor in tensors), axis=0)
    axis = b.axis(tensors[0], op.integer("axis"))
    if op.flag("interleave", False):
        return _interleaved(b, tensors, axis)
    return b.op("Concat", *tensors, axis=axis)


def _interleaved(b: Builder, tensors: Sequence[str], axis: int) -> str:
    """Interleave several tensors along an axis: the first position of each, the second position of each, ..."""
    shape, count = list(b.fixed_shape(tensors[0])), len(tensors)
    if axis == 0:
        raise UnsupportedError("interleaves images of the batch")
    rank, joined = len(shape), b.op("Concat", *tensors, axis=axis)
    apart = b.op("Reshape", joined, [0, *shape[1:axis], count, *shape[axis:]])
    order = [*range(axis), axis + 1, axis, *range(axis + 2, rank + 1)]
    shape[axis] *= count
    return b.op("Reshape", b.op("Transpose", apart, perm=order), [0, *shape[1:]])


def _split(b: Builder, op: Operation) -> list[str]:
    axis = op.integer("axis")
    if op.has("split_sizes"):
        return split(b, op.tensor("x"), axis, op.integers("split_sizes"))
    return split_equally(b, op.tensor("x"), axis, op.integer("num_splits"))


def _slice_by_index(b: Builder, op: Operation) -> str:
    """Convert slice_by_index. Masks say which axes begin at the first element, end at the last one, or are removed."""
    begins, ends = op.integers("begin"), op.integers("end")
    count = len(begins)
    if len(ends) != count:
        raise WeightsError(f"damaged: {count} begins and {len(ends)} ends")
    from_first, to_last, removed = (op.flags(f"{name}_mask", count) for name in ("begin", "end", "squeeze"))
    strides = op.integers("stride", [1] * count)
    if 0 in strides:  # also of an axis that is removed
        raise WeightsError("damaged: its step is 0")
    starts = [0 if flag else begin for flag, begin in zip(from_first, begins, strict=True)]
    masks = [
        sum(flag << axis for axis, flag in enumerate(one)) for one in (from_first, to_last, (), (), removed)
    ]
    return take_part(b, op.tensor("x"), indices([starts, ends, strides], masks))


def _tile(b: Builder, op: Operation) -> str:
    counts = op.integers("reps")
    if len(counts) != b.rank(op.tensor("x")) or not all(1 <= count < 2**31 for count in counts):
        raise WeightsError(f"damaged: repeats {counts[:8]} times")
    return b.op("Tile", op.tensor("x"), counts)


def _reverse(b: Builder, op: Operation) -> str:
    x = op.tensor("x")
    return reverse(b, x, op.integers("axes", list(range(b.rank(x)))))


def _block(op: Operation, name: str) -> int:
    block = op.integer(name)
    if not 0 < block < 2**31:
        raise WeightsError(f"damaged: its {name} is {block}")
    return block


ARRAY_OPS: dict[str, Handler] = {
    "concat": _concat,
    "depth_to_space": lambda b, op: depth_to_space(
        b, op.tensor("x"), _block(op, "block_size"), shuffled=False
    ),
    "expand_dims": lambda b, op: b.op("Unsqueeze", op.tensor("x"), op.integers("axes")),
    "fill": lambda b, op: fill(b, op.integers("shape"), op.array("value") if op.has("value") else 0.0),
    "flatten2d": lambda b, op: b.op("Flatten", op.tensor("x"), axis=op.integer("axis", 1)),
    "pixel_shuffle": lambda b, op: depth_to_space(
        b, op.tensor("x"), _block(op, "upscale_factor"), shuffled=True
    ),
    "pixel_unshuffle": lambda b, op: space_to_depth(
        b, op.tensor("x"), _block(op, "downscale_factor"), shuffled=True
    ),
    "reshape": lambda b, op: b.op("Reshape", op.tensor("x"), op.tensor("shape")),
    "reverse": _reverse,
    "shape": lambda b, op: b.op("Shape", op.tensor("x")),
    "slice_by_index": _slice_by_index,
    "slice_by_size": lambda b, op: slice_by_sizes(
        b, op.tensor("x"), op.integers("begin"), op.integers("size")
    ),
    "space_to_depth": lambda b, op: space_to_depth(b, op.tensor("x"), _block(op, "block_size")),
    "split": _split,
    "squeeze": _squeeze,
    "stack": lambda b, op: stack(b, op.tensors("values"), op.integer("axis")),
    "tile": _tile,
    "transpose": _transpose,
}
