"""Convert layers of neural networks that slice, concatenate, reshape or transpose blobs (tensors)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpscnn.converters.reading.coreml.neural.as_operation import as_operation
from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer
from mpscnn.converters.reading.onnx_graph.blocks import (
    depth_to_space,
    image,
    space_to_depth,
    split,
    split_equally,
    take_part,
)
from mpscnn.converters.reading.onnx_graph.builder import Builder
from mpscnn.converters.values.layout import TO_NHWC
from mpscnn.errors import UnsupportedError, WeightsError


def _reshaped(b: Builder, x: str, wanted: Sequence[int]) -> str:
    """Reshape to a shape, whose first extent may be the batch."""
    if any(extent < -1 for extent in wanted) or list(wanted).count(-1) > 1 or not wanted:
        raise WeightsError(f"damaged: reshapes to {list(wanted)}")
    return b.op("Reshape", x, list(wanted))


def _reshape_static(b: Builder, layer: Layer) -> str:
    return _reshaped(b, layer.x, [int(one) for one in layer.p.targetShape])


def _reshape(b: Builder, layer: Layer) -> str:
    """Convert Reshape of sequences, channels, height and width, with elements in one of two orders."""
    wanted, x = [int(one) for one in layer.p.targetShape], layer.x
    is_sequence = b.rank(x) == _RANK_5
    if len(wanted) == 3:
        wanted = [_length(b, x, wanted) if is_sequence else 1, *wanted]
    if len(wanted) != 4 or wanted[0] < 1:
        raise WeightsError(f"damaged: reshapes to {wanted}")
    if is_sequence:  # the batch comes first, because it stays as it is
        x = b.op("Transpose", x, perm=_SWAPPED)
    length, channels, height, width = wanted
    leading = [length] if is_sequence or length > 1 else []
    if layer.p.mode == _CHANNEL_LAST:
        last = b.op("Transpose", x, perm=_channels_last(b.rank(x)))
        x = b.op("Reshape", last, [0, *leading, height, width, channels])
        x = b.op("Transpose", x, perm=_channels_first(b.rank(x)))
    else:
        x = b.op("Reshape", x, [0, *leading, channels, height, width])
    return _one_image(b, layer, b.op("Transpose", x, perm=_SWAPPED)) if leading else x


def _length(b: Builder, x: str, image: Sequence[int]) -> int:
    """Return how many images of a size a sequence has if it is reshaped to them."""
    shape = b.fixed_shape(x)
    length, rest = divmod(math.prod(shape) // shape[1], max(math.prod(image), 1))
    if rest or not length:
        raise WeightsError(f"damaged: reshapes {shape} to {list(image)}")
    return length


_CHANNEL_LAST = 1
_RANK_5 = 5
_SWAPPED = [1, 0, 2, 3, 4]  # exchanges sequence and batch


def _channels_last(rank: int) -> list[int]:
    return [*range(rank - 3), rank - 2, rank - 1, rank - 3]


def _channels_first(rank: int) -> list[int]:
    return [*range(rank - 3), rank - 1, rank - 3, rank - 2]


def _one_image(b: Builder, layer: Layer, x: str) -> str:
    """Remove the axis of sequences of one image, which other layers of old files do not expect."""
    return b.op("Squeeze", x, [0]) if layer.is_old and b.extents(x)[0] == 1 else x


def _flatten(b: Builder, layer: Layer) -> str:
    _, channels, height, width = image(b, layer.x)
    x = b.op("Transpose", layer.x, perm=TO_NHWC) if layer.p.mode == _CHANNEL_LAST else layer.x
    return b.op("Reshape", x, [0, channels * height * width, 1, 1])


def _permute(b: Builder, layer: Layer) -> str:
    """Convert Permute of the axes sequence, channels, height and width."""
    order = [int(one) for one in layer.p.axis] or [0, 1, 2, 3]
    if sorted(order) != [0, 1, 2, 3]:
        raise WeightsError(f"damaged: its order is {order}")
    x = layer.x
    if order == [0, 1, 2, 3]:
        return x
    if b.rank(x) != _RANK_5:
        if order[0] == 0:
            return b.op("Transpose", x, perm=order)
        x = b.op("Unsqueeze", x, [0])
    first, *rest = (0 if axis == 0 else axis + 1 for axis in order)
    return _one_image(b, layer, b.op("Transpose", x, perm=[first, 1, *rest]))


def _concat(b: Builder, layer: Layer) -> str:
    if layer.p.sequenceConcat:
        raise UnsupportedError("joins sequences")
    return b.op("Concat", *layer.inputs, axis=b.axis(layer.inputs[0], -3))


def _split_nd(b: Builder, layer: Layer) -> list[str]:
    axis = int(layer.p.axis)
    if layer.p.splitSizes:
        return split(b, layer.x, axis, [int(one) for one in layer.p.splitSizes])
    return split_equally(b, layer.x, axis, int(layer.p.numSplits) or len(layer.outputs))


def _slice(b: Builder, layer: Layer) -> str:
    p, axis = layer.p, int(layer.p.axis) - 3
    rank = b.rank(layer.x)
    if not -3 <= axis < 0 or rank < -axis or p.stride > _LARGEST:
        raise WeightsError(f"damaged: takes a part of axis {p.axis} of {rank}")
    part = slice(int(p.startIndex), int(p.endIndex), int(p.stride) or 1)
    return take_part(b, layer.x, [..., part, *[slice(None)] * (-1 - axis)])


_LARGEST = 2**31 - 1


def _tile(b: Builder, layer: Layer) -> str:
    counts, rank = [int(one) for one in layer.p.reps], b.rank(layer.x)
    if not 0 < len(counts) <= rank or min(counts) < 1 or max(counts) > _LARGEST:
        raise WeightsError(f"damaged: repeats {rank} axes {counts[:8]} times")
    return b.op("Tile", layer.x, [1] * (rank - len(counts)) + counts)


def _broadcast(b: Builder, layer: Layer) -> str:
    wanted = [int(one) for one in layer.p.targetShape]
    if min(wanted, default=1) < 1 or math.prod(wanted) > _LARGEST:
        raise WeightsError(f"damaged: spreads to {wanted[:8]}")
    return b.op("Expand", layer.x, wanted)


def _squeeze(b: Builder, layer: Layer) -> str:
    extents = b.extents(layer.x)
    axes = [int(one) for one in layer.p.axes]
    if layer.p.squeezeAll:
        axes = [axis for axis, extent in enumerate(extents) if extent == 1]
    if len(extents) == 1 or not axes:
        return layer.x
    return b.op("Squeeze", layer.x, axes)


_SPACE_TO_DEPTH, _DEPTH_TO_SPACE, _PIXEL_SHUFFLE = range(3)


def _reorganize(b: Builder, layer: Layer) -> str:
    block = int(layer.p.blockSize)
    if layer.p.mode == _SPACE_TO_DEPTH:
        return space_to_depth(b, layer.x, block)
    if layer.p.mode not in (_DEPTH_TO_SPACE, _PIXEL_SHUFFLE) or not 0 < block <= _LARGEST:
        raise WeightsError(f"damaged: its mode is {layer.p.mode}, its blocks {block}")
    return depth_to_space(b, layer.x, block, shuffled=layer.p.mode == _PIXEL_SHUFFLE)


def _repeat(_: Builder, layer: Layer) -> str:
    if layer.p.nRepetitions != 1:
        raise UnsupportedError(f"repeats sequences {layer.p.nRepetitions} times")
    return layer.x


_PARTS = {"begin": "beginIds", "end": "endIds", "stride": "strides"} | {
    f"{name}_mask": f"{name}Masks" for name in ("begin", "end", "squeeze")
}

ARRAY_OPS: dict[str, Handler] = {
    "broadcastToStatic": _broadcast,
    "concat": _concat,
    "concatND": as_operation("concat", "*values", axis="axis", interleave="interleave"),
    "copy": lambda _, layer: layer.x,
    "expandDims": as_operation("expand_dims", axes="axes"),
    "flatten": _flatten,
    "flattenTo2D": as_operation("flatten2d", axis="axis"),
    "permute": _permute,
    "rankPreservingReshape": _reshape_static,
    "reorganizeData": _reorganize,
    "reshape": _reshape,
    "reshapeStatic": _reshape_static,
    "reverse": lambda b, layer: take_part(
        b, layer.x, [slice(None, None, -1 if flag else 1) for flag in layer.p.reverseDim]
    ),
    "sequenceRepeat": _repeat,
    "slice": _slice,
    "sliceStatic": as_operation("slice_by_index", **_PARTS),
    "split": lambda b, layer: split_equally(b, layer.x, -3, int(layer.p.nOutputs)),
    "splitND": _split_nd,
    "squeeze": _squeeze,
    "stack": as_operation("stack", "*values", axis="axis"),
    "tile": _tile,
    "transpose": as_operation("transpose", perm="axes"),
}
