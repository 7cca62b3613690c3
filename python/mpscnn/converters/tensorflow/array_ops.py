"""Convert operators that move elements: reshapes, slices, padding, resizes, and space to depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.onnx_graph.blocks import (
    pad,
    reverse,
    slice_by_sizes,
    split,
    split_equally,
    stack,
    take_part,
)
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.onnx_graph.resizing import CORNERS, FROM_EDGE, HALF_PIXEL
from mpscnn.converters.strided_slice import MASKS, indices
from mpscnn.converters.tensorflow.operation import Handler, Operation, channels_first, restore_layout
from mpscnn.errors import UnsupportedError, WeightsError


def _shape(b: Builder, op: Operation) -> list[str]:
    return [b.op("Shape", x) for x in op.tensors()]


def _squeeze(b: Builder, op: Operation) -> str:
    x = op.tensor()
    axes = op.wholes("squeeze_dims") or op.wholes("axis")
    if not axes:
        axes = [axis for axis, extent in enumerate(b.extents(x)) if extent == 1]
    return b.op("Squeeze", x, axes) if axes else x


def _transpose(b: Builder, op: Operation) -> str:
    order, x = op.integers(1, "order"), op.tensor()
    order = [b.axis(x, axis) for axis in order]
    if sorted(order) != list(range(b.rank(x))):
        raise WeightsError(f"damaged: its order is {order[:8]}")
    return b.op("Transpose", x, perm=order)


def _concat(b: Builder, op: Operation) -> str:
    first = op.kind == "Concat"
    axis = op.integer(0 if first else -1, "axis")
    tensors = op.tensors(1) if first else op.tensors(0, -1)
    if not tensors:
        raise WeightsError("damaged: joins nothing")
    return tensors[0] if len(tensors) == 1 else b.op("Concat", *tensors, axis=b.axis(tensors[0], axis))


def _unpack(b: Builder, op: Operation) -> list[str]:
    x, count = op.tensor(), op.whole("num", 0)
    axis = b.axis(x, op.whole("axis", 0))
    return [b.op("Squeeze", part, [axis]) for part in split_equally(b, x, axis, count)]


def _split_sizes(b: Builder, op: Operation) -> list[str]:
    x, sizes, axis = op.tensor(), op.integers(1, "sizes"), op.integer(2, "axis")
    if sizes.count(-1) == 1:
        extent = b.extents(x)[b.axis(x, axis)]
        if extent is None:
            raise UnsupportedError("divides an axis whose extent is not known")
        sizes = [extent - sum(sizes) - 1 if one == -1 else one for one in sizes]
    return split(b, x, axis, sizes)


def _strided_slice(b: Builder, op: Operation) -> str:
    ranges = [op.shape(place, what) for place, what in ((1, "begins"), (2, "ends"), (3, "strides"))]
    entries = indices(ranges, [op.whole(f"{name}_mask", 0) for name in MASKS])
    return take_part(b, op.tensor(), [*entries, *([] if Ellipsis in entries else [...])])


def _gather(b: Builder, op: Operation) -> str:
    axis = op.integer(2, "axis") if len(op) > 2 else 0
    if op.whole("batch_dims", 0):
        raise UnsupportedError("gathers other elements of each image")
    x, places = op.tensor(), op.tensor(1)
    if not b.is_integer(places):
        raise UnsupportedError("looks up rows by numbers that the network computes, which is not supported")
    return b.op("Gather", x, places, axis=axis)


def _gather_at(b: Builder, op: Operation) -> str:
    """Convert GatherNd: the last axis of the positions has an index for each of the first axes."""
    x, places = op.tensor(), op.tensor(1)
    if not b.is_integer(places):
        raise UnsupportedError(
            "gathers elements at numbers that the network computes, which is not supported"
        )
    return b.op("GatherND", x, places, batch_dims=op.whole("batch_dims", 0))


def _roll(b: Builder, op: Operation) -> str:
    x, shifts, axes = op.tensor(), op.integers(1, "shifts"), op.integers(2, "axes")
    if len(shifts) != len(axes):
        raise WeightsError(f"damaged: {len(shifts)} shifts of {len(axes)} axes")
    for shift, given in zip(shifts, axes, strict=True):
        axis = b.axis(x, given)
        extent = b.extents(x)[axis]
        if extent is None:
            raise UnsupportedError("rolls an axis whose extent is not known")
        if shift % extent:
            parts = split(b, x, axis, [extent - shift % extent, shift % extent])
            x = b.op("Concat", *reversed(parts), axis=axis)
    return x


def _one_hot(b: Builder, op: Operation) -> str:
    values = b.weight("values", np.asarray([op.number(3, "off"), op.number(2, "on")], np.float32))
    return b.op("OneHot", op.tensor(), op.integers(1, "count"), values, axis=op.whole("axis", -1))


def _pad(b: Builder, op: Operation) -> str:
    amounts = op.integers(1, "paddings")
    if op.kind == "MirrorPad":
        mode = op.text("mode", "REFLECT")
        if mode not in ("REFLECT", "SYMMETRIC"):
            raise UnsupportedError(f"a border of the kind {mode}")
        return pad(b, op.tensor(), amounts, mode.lower())
    value = op.number(2, "value") if len(op) > 2 else 0.0
    return pad(b, op.tensor(), amounts, "constant", value)


def _resize(mode: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        wanted = op.integers(1, "size")
        if len(wanted) != 2 or min(wanted) < 1:
            raise WeightsError(f"damaged: resizes to {wanted[:5]}")
        corners, centers = op.flag("align_corners"), op.flag("half_pixel_centers")
        if corners and centers:
            raise UnsupportedError(
                "aligns both the corners and the centers of pixels, which contradict each other"
            )
        samples = CORNERS if corners else HALF_PIXEL if centers else FROM_EDGE
        x = channels_first(b, op)
        if b.extents(x)[1] is None:
            raise UnsupportedError("the number of its input's channels is not known")
        attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": samples}
        if mode == "cubic":
            attributes["cubic_coeff_a"] = -0.5 if centers else -0.75
            # With pixel centers, TensorFlow leaves out pixels beyond the border. It rounds positions to 1/1024 of a
            # pixel, which is not done here.
            attributes["exclude_outside"] = int(centers)
        elif mode == "nearest":
            attributes["nearest_mode"] = "floor" if samples == FROM_EDGE else "round_prefer_ceil"
        return restore_layout(b, op, b.op("Resize", x, "", "", wanted, axes=[2, 3], **attributes))

    return convert


def _depth_to_space(b: Builder, op: Operation) -> str:
    block = op.whole("block_size", 0)
    if block < 1:
        raise WeightsError(f"damaged: blocks of {block} pixels")
    return restore_layout(b, op, b.op("DepthToSpace", channels_first(b, op), blocksize=block, mode="DCR"))


def _space_to_depth(b: Builder, op: Operation) -> str:
    block = op.whole("block_size", 0)
    if block < 1:
        raise WeightsError(f"damaged: blocks of {block} pixels")
    return restore_layout(b, op, b.op("SpaceToDepth", channels_first(b, op), blocksize=block))


HANDLERS: dict[str, Handler] = {
    "Shape": _shape,
    "ShapeN": _shape,
    "Size": lambda b, op: b.op("Size", op.tensor()),
    "Rank": lambda b, op: b.weight("rank", np.asarray(b.rank(op.tensor()), np.int64)),
    "Fill": lambda b, op: b.op("Expand", op.tensor(1), op.tensor(0)),
    "Range": lambda b, op: b.op("Range", *op.tensors()),
    "Reshape": lambda b, op: b.op("Reshape", op.tensor(), op.tensor(1), allowzero=1),
    "Squeeze": _squeeze,
    "ExpandDims": lambda b, op: b.op("Unsqueeze", op.tensor(), [op.integer(1, "axis")]),
    "Transpose": _transpose,
    "Concat": _concat,
    "ConcatV2": _concat,
    "Pack": lambda b, op: stack(b, op.tensors(), op.whole("axis", 0)),
    "Unpack": _unpack,
    "Split": lambda b, op: split_equally(b, op.tensor(1), op.integer(0, "axis"), op.whole("num_split", 0)),
    "SplitV": _split_sizes,
    "StridedSlice": _strided_slice,
    "Slice": lambda b, op: slice_by_sizes(b, op.tensor(), op.integers(1, "begins"), op.integers(2, "sizes")),
    "Gather": _gather,
    "GatherV2": _gather,
    "ResourceGather": _gather,
    "GatherNd": _gather_at,
    "Tile": lambda b, op: b.op("Tile", op.tensor(), op.integers(1, "multiples")),
    "BroadcastTo": lambda b, op: b.op("Expand", op.tensor(), op.tensor(1)),
    "OneHot": _one_hot,
    "ReverseV2": lambda b, op: reverse(b, op.tensor(), op.integers(1, "axes")),
    "Roll": _roll,
    "Pad": _pad,
    "PadV2": _pad,
    "MirrorPad": _pad,
    "ResizeBicubic": _resize("cubic"),
    "ResizeBilinear": _resize("linear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
