"""Convert layers of neural networks that slice, concatenate, reshape or transpose blobs (tensors)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.layer import Layer
from mpscnn.converters.reading.coreml.neural.row_calls import numbered
from mpscnn.converters.reading.coreml.program.operations import ROWS
from mpscnn.converters.reading.graph.blocks import (
    depth_to_space,
    image,
    space_to_depth,
    split,
    split_equally,
    stack,
    take_part,
)
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.layout import TO_NHWC
from mpscnn.converters.values.rows import Ints, Name, Row
from mpscnn.errors import UnsupportedError, WeightsError

Flags = tuple[bool, ...]
Order = Annotated[str, numbered("CHANNEL_FIRST", "CHANNEL_LAST")]
"""The order of the elements of an image."""


def _reshape_static(b: Builder, x: Name, *, target_shape: Ints = ()) -> str:
    """Reshape to a shape, whose first extent may be the batch."""
    wanted = list(target_shape)
    if any(extent < -1 for extent in wanted) or wanted.count(-1) > 1 or not wanted:
        raise WeightsError(f"damaged: reshapes to {wanted}")
    return ops.reshape(b, x, wanted)


def _reshape(
    b: Builder, layer: Layer, x: Name, *, target_shape: Ints = (), mode: Order = "CHANNEL_FIRST"
) -> str:
    """Convert Reshape of sequences, channels, height and width, with elements in one of two orders."""
    wanted = list(target_shape)
    is_sequence = b.rank(x) == _RANK_5
    if len(wanted) == 3:
        wanted = [_length(b, x, wanted) if is_sequence else 1, *wanted]
    if len(wanted) != 4 or wanted[0] < 1:
        raise WeightsError(f"damaged: reshapes to {wanted}")
    if is_sequence:  # the batch comes first, because it stays as it is
        x = ops.transpose(b, x, perm=_SWAPPED)
    length, channels, height, width = wanted
    leading = [length] if is_sequence or length > 1 else []
    if mode == "CHANNEL_LAST":
        last = ops.transpose(b, x, perm=_channels_last(b.rank(x)))
        x = ops.reshape(b, last, [0, *leading, height, width, channels])
        x = ops.transpose(b, x, perm=_channels_first(b.rank(x)))
    else:
        x = ops.reshape(b, x, [0, *leading, channels, height, width])
    return _one_image(b, layer, ops.transpose(b, x, perm=_SWAPPED)) if leading else x


def _length(b: Builder, x: str, image: Sequence[int]) -> int:
    """Return how many images of a size a sequence has if it is reshaped to them."""
    shape = b.fixed_shape(x)
    length, rest = divmod(math.prod(shape) // shape[1], max(math.prod(image), 1))
    if rest or not length:
        raise WeightsError(f"damaged: reshapes {shape} to {list(image)}")
    return length


_RANK_5 = 5
_SWAPPED = [1, 0, 2, 3, 4]  # exchanges sequence and batch


def _channels_last(rank: int) -> list[int]:
    return [*range(rank - 3), rank - 2, rank - 1, rank - 3]


def _channels_first(rank: int) -> list[int]:
    return [*range(rank - 3), rank - 1, rank - 3, rank - 2]


def _one_image(b: Builder, layer: Layer, x: str) -> str:
    """Remove the axis of sequences of one image, which other layers of old files do not expect."""
    return ops.squeeze(b, x, [0]) if layer.is_old and b.extents(x)[0] == 1 else x


def _flatten(b: Builder, x: Name, *, mode: Order = "CHANNEL_FIRST") -> str:
    _, channels, height, width = image(b, x)
    x = ops.transpose(b, x, perm=TO_NHWC) if mode == "CHANNEL_LAST" else x
    return ops.reshape(b, x, [0, channels * height * width, 1, 1])


def _permute(b: Builder, layer: Layer, x: Name, *, axis: Ints = (0, 1, 2, 3)) -> str:
    """Convert Permute of the axes sequence, channels, height and width."""
    order = list(axis)
    if sorted(order) != [0, 1, 2, 3]:
        raise WeightsError(f"damaged: its order is {order}")
    if order == [0, 1, 2, 3]:
        return x
    if b.rank(x) != _RANK_5:
        if order[0] == 0:
            return ops.transpose(b, x, perm=order)
        x = ops.unsqueeze(b, x, [0])
    first, *rest = (0 if one == 0 else one + 1 for one in order)
    return _one_image(b, layer, ops.transpose(b, x, perm=[first, 1, *rest]))


def _concat(b: Builder, x: Name, *more: Name, sequence_concat: bool = False) -> str:
    if sequence_concat:
        raise UnsupportedError("joins sequences")
    return ops.concatenate(b, x, *more, axis=b.axis(x, -3))


def _concat_nd(b: Builder, *values: Name, axis: int = 0, interleave: bool = False) -> str:
    made: str = ROWS["concat"](b, list(values), axis, interleave)
    return made


def _stack(b: Builder, x: Name, *more: Name, axis: int = 0) -> str:
    return stack(b, [x, *more], axis)


def _split(b: Builder, x: Name, *, n_outputs: int = 0) -> list[str]:
    return split_equally(b, x, -3, n_outputs)


def _split_nd(
    b: Builder, layer: Layer, x: Name, *, axis: int = 0, num_splits: int = 0, split_sizes: Ints = ()
) -> list[str]:
    if split_sizes:
        return split(b, x, axis, list(split_sizes))
    return split_equally(b, x, axis, num_splits or len(layer.outputs))


def _slice(
    b: Builder, x: Name, *, start_index: int = 0, end_index: int = 0, stride: int = 1, axis: int = 0
) -> str:
    place, rank = axis - 3, b.rank(x)
    if not -3 <= place < 0 or rank < -place or stride > _LARGEST:
        raise WeightsError(f"damaged: takes a part of axis {axis} of {rank}")
    part = slice(start_index, end_index, stride)
    return take_part(b, x, [..., part, *[slice(None)] * (-1 - place)])


_LARGEST = 2**31 - 1


def _slice_static(
    b: Builder, x: Name, *, begin_ids: Ints = (), begin_masks: Flags | None = None, end_ids: Ints = (),
    end_masks: Flags | None = None, strides: Ints | None = None, squeeze_masks: Flags | None = None,
) -> str:  # fmt: skip
    made: str = ROWS["slice_by_index"](
        b, x, begin_ids, end_ids, strides, begin_masks, end_masks, squeeze_masks
    )
    return made


def _reverse(b: Builder, x: Name, *, reverse_dim: Flags = ()) -> str:
    return take_part(b, x, [slice(None, None, -1 if flag else 1) for flag in reverse_dim])


def _tile(b: Builder, x: Name, *, reps: Ints = ()) -> str:
    rank = b.rank(x)
    if not 0 < len(reps) <= rank or min(reps) < 1 or max(reps) > _LARGEST:
        raise WeightsError(f"damaged: repeats {rank} axes {list(reps[:8])} times")
    return ops.tile(b, x, [1] * (rank - len(reps)) + list(reps))


def _broadcast(b: Builder, x: Name, *, target_shape: Ints = ()) -> str:
    if min(target_shape, default=1) < 1 or math.prod(target_shape) > _LARGEST:
        raise WeightsError(f"damaged: spreads to {list(target_shape[:8])}")
    return ops.expand(b, x, list(target_shape))


def _squeeze(b: Builder, x: Name, *, axes: Ints = (), squeeze_all: bool = False) -> str:
    extents = b.extents(x)
    if squeeze_all:
        axes = tuple(axis for axis, extent in enumerate(extents) if extent == 1)
    if len(extents) == 1 or not axes:
        return x
    return ops.squeeze(b, x, list(axes))


def _expand_dims(b: Builder, x: Name, *, axes: Ints) -> str:
    return ops.unsqueeze(b, x, list(axes))


def _flatten_to_2d(b: Builder, x: Name, *, axis: int = 0) -> str:
    return ops.flatten(b, x, axis=axis)


def _transpose(b: Builder, x: Name, *, axes: Ints) -> str:
    made: str = ROWS["transpose"](b, x, axes)
    return made


def _reorganize(
    b: Builder, x: Name, *, block_size: int = 0,
    mode: Annotated[str, numbered("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "PIXEL_SHUFFLE")] = "SPACE_TO_DEPTH",
) -> str:  # fmt: skip
    if mode == "SPACE_TO_DEPTH":
        return space_to_depth(b, x, block_size)
    if not 0 < block_size <= _LARGEST:
        raise WeightsError(f"damaged: its blocks are {block_size}")
    return depth_to_space(b, x, block_size, shuffled=mode == "PIXEL_SHUFFLE")


def _repeat(x: Name, *, n_repetitions: int = 0) -> str:
    if n_repetitions != 1:
        raise UnsupportedError(f"repeats sequences {n_repetitions} times")
    return x


ARRAY_OPS: dict[str, Row] = {
    "broadcastToStatic": _broadcast,
    "concat": _concat,
    "concatND": _concat_nd,
    "copy": ROWS["identity"],
    "expandDims": _expand_dims,
    "flatten": _flatten,
    "flattenTo2D": _flatten_to_2d,
    "permute": _permute,
    "rankPreservingReshape": _reshape_static,
    "reorganizeData": _reorganize,
    "reshape": _reshape,
    "reshapeStatic": _reshape_static,
    "reverse": _reverse,
    "sequenceRepeat": _repeat,
    "slice": _slice,
    "sliceStatic": _slice_static,
    "split": _split,
    "splitND": _split_nd,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
}
