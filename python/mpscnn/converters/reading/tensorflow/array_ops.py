"""Convert operators that move elements: reshapes, slices, padding, resizes, and space to depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.blocks import (
    pad,
    reverse,
    slice_by_sizes,
    split,
    split_equally,
    stack,
    take_part,
)
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.resizing import CORNERS, FROM_EDGE, HALF_PIXEL
from mpscnn.converters.reading.tensorflow.operation import (
    Layout,
    Operation,
    Place,
    channels_first,
    restore_layout,
)
from mpscnn.converters.values.rows import Ints, Name, Operand, Positive, Row, ignores
from mpscnn.converters.values.strided_slice import MASKS, indices
from mpscnn.errors import UnsupportedError, WeightsError

Axis = Annotated[int, Operand("axis")]
Amounts = Annotated[Ints, Operand("paddings")]


@ignores("N")
def _shape(b: Builder, *x: Name) -> list[str]:
    return [ops.extents(b, one) for one in x]


def _size(b: Builder, x: Name) -> str:
    return ops.number_of_elements(b, x)


def _rank(b: Builder, x: Name) -> str:
    return b.weight("rank", np.asarray(b.rank(x), np.int64))


def _fill(b: Builder, op: Operation, shape: Place, value: Place) -> str:
    return ops.expand(b, op.tensor(value), op.tensor(shape))


def _range(b: Builder, start: Name, end: Name, step: Name) -> str:
    return ops.progression(b, start, end, step)


def _reshape(b: Builder, x: Name, shape: Name) -> str:
    return ops.reshape(b, x, shape, allowzero=1)


def _squeeze(b: Builder, x: Name, *, squeeze_dims: Ints = (), axis: Ints = ()) -> str:
    axes = list(squeeze_dims or axis)
    if not axes:
        axes = [place for place, extent in enumerate(b.extents(x)) if extent == 1]
    return ops.squeeze(b, x, axes) if axes else x


def _expand_dims(b: Builder, x: Name, axis: Axis) -> str:
    return ops.unsqueeze(b, x, [axis])


def _transpose(b: Builder, x: Name, order: Annotated[Ints, Operand("order")]) -> str:
    axes = [b.axis(x, axis) for axis in order]
    if sorted(axes) != list(range(b.rank(x))):
        raise WeightsError(f"damaged: its order is {axes[:8]}")
    return ops.transpose(b, x, perm=axes)


@ignores("N")
def _concat(b: Builder, axis: Axis, *x: Name) -> str:
    return _joined(b, x, axis)


@ignores("N")
def _concat_before_axis(b: Builder, op: Operation, *given: Place) -> str:
    if not given:
        raise WeightsError("damaged: it has 0 operands")
    axis = op.integer(given[-1], "axis")
    return _joined(b, [op.tensor(place) for place in given[:-1]], axis)


def _joined(b: Builder, tensors: Sequence[str], axis: int) -> str:
    if not tensors:
        raise WeightsError("damaged: joins nothing")
    return tensors[0] if len(tensors) == 1 else ops.concatenate(b, *tensors, axis=b.axis(tensors[0], axis))


@ignores("N")
def _pack(b: Builder, *x: Name, axis: int = 0) -> str:
    return stack(b, x, axis)


def _unpack(b: Builder, x: Name, *, num: int = 0, axis: int = 0) -> list[str]:
    along = b.axis(x, axis)
    return [ops.squeeze(b, part, [along]) for part in split_equally(b, x, along, num)]


def _split(b: Builder, axis: Axis, x: Name, *, num_split: int = 0) -> list[str]:
    return split_equally(b, x, axis, num_split)


@ignores("num_split")
def _split_sizes(b: Builder, x: Name, sizes: Annotated[Ints, Operand("sizes")], axis: Axis) -> list[str]:
    if sizes.count(-1) == 1:
        extent = b.extents(x)[b.axis(x, axis)]
        if extent is None:
            raise UnsupportedError("divides an axis whose extent is not known")
        sizes = tuple(extent - sum(sizes) - 1 if one == -1 else one for one in sizes)
    return split(b, x, axis, sizes)


def _strided_slice(
    b: Builder, op: Operation, x: Place, begins: Place, ends: Place, strides: Place, *, begin_mask: int = 0,
    end_mask: int = 0, ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0,
) -> str:  # fmt: skip
    ranges = [
        op.shape(place, what) for place, what in ((begins, "begins"), (ends, "ends"), (strides, "strides"))
    ]
    masks = {
        "begin": begin_mask, "end": end_mask, "ellipsis": ellipsis_mask, "new_axis": new_axis_mask,
        "shrink_axis": shrink_axis_mask,
    }  # fmt: skip
    entries = indices(ranges, [masks[name] for name in MASKS])
    return take_part(b, op.tensor(x), [*entries, *([] if Ellipsis in entries else [...])])


def _slice(
    b: Builder, x: Name, begins: Annotated[Ints, Operand("begins")], sizes: Annotated[Ints, Operand("sizes")]
) -> str:
    return slice_by_sizes(b, x, begins, sizes)


@ignores("validate_indices")
def _gather(b: Builder, x: Name, places: Name, axis: Axis = 0, *, batch_dims: int = 0) -> str:
    if batch_dims:
        raise UnsupportedError("gathers other elements of each image")
    if not b.is_integer(places):
        raise UnsupportedError("looks up rows by numbers that the network computes, which is not supported")
    return ops.gather(b, x, places, axis=axis)


def _gather_at(
    b: Builder,
    x: Name,
    places: Name,
    *,
    batch_dims: int = 0,
    bad_indices_policy: Literal["", "DEFAULT", "ERROR"] = "",
) -> str:
    """Convert GatherNd: the last axis of the positions has an index for each of the first axes."""
    del bad_indices_policy  # which positions are refused does not matter where all are valid
    if not b.is_integer(places):
        raise UnsupportedError(
            "gathers elements at numbers that the network computes, which is not supported"
        )
    return ops.gather_nd(b, x, places, batch_dims=batch_dims)


def _tile(b: Builder, x: Name, multiples: Annotated[Ints, Operand("multiples")]) -> str:
    return ops.tile(b, x, multiples)


def _broadcast_to(b: Builder, x: Name, shape: Name) -> str:
    return ops.expand(b, x, shape)


def _reverse(b: Builder, x: Name, axes: Annotated[Ints, Operand("axes")]) -> str:
    return reverse(b, x, axes)


def _roll(
    b: Builder, x: Name, shifts: Annotated[Ints, Operand("shifts")], axes: Annotated[Ints, Operand("axes")]
) -> str:
    if len(shifts) != len(axes):
        raise WeightsError(f"damaged: {len(shifts)} shifts of {len(axes)} axes")
    for shift, given in zip(shifts, axes, strict=True):
        axis = b.axis(x, given)
        extent = b.extents(x)[axis]
        if extent is None:
            raise UnsupportedError("rolls an axis whose extent is not known")
        if shift % extent:
            parts = split(b, x, axis, [extent - shift % extent, shift % extent])
            x = ops.concatenate(b, *reversed(parts), axis=axis)
    return x


def _one_hot(
    b: Builder, op: Operation, x: Place, count: Annotated[Ints, Operand("count")],
    on: Annotated[float, Operand("on")], off: Annotated[float, Operand("off")], *, axis: int = -1,
) -> str:  # fmt: skip
    values = b.weight("values", np.asarray([off, on], np.float32))
    return ops.one_hot(b, op.tensor(x), count, values, axis=axis)


def _pad(
    b: Builder, op: Operation, x: Place, amounts: Amounts, value: Annotated[float, Operand("value")] = 0.0
) -> str:
    return pad(b, op.tensor(x), amounts, "constant", value)


def _mirror_pad(
    b: Builder, x: Name, amounts: Amounts, *, mode: Literal["REFLECT", "SYMMETRIC"] = "REFLECT"
) -> str:
    return pad(b, x, amounts, mode.lower())


def _resize(mode: str) -> Row:
    def row(
        b: Builder, op: Operation, image: Place, wanted: Annotated[Ints, Operand("size")], *,
        align_corners: bool = False, half_pixel_centers: bool = False,
    ) -> str:  # fmt: skip
        if len(wanted) != 2 or min(wanted) < 1:
            raise WeightsError(f"damaged: resizes to {list(wanted[:5])}")
        corners, centers = align_corners, half_pixel_centers
        if corners and centers:
            raise UnsupportedError(
                "aligns both the corners and the centers of pixels, which contradict each other"
            )
        samples = CORNERS if corners else HALF_PIXEL if centers else FROM_EDGE
        x = channels_first(b, op.tensor(image), "NHWC")
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
        return restore_layout(b, ops.resize(b, x, None, wanted, axes=[2, 3], **attributes), "NHWC")

    return row


def _depth_to_space(b: Builder, x: Name, *, block_size: Positive, data_format: Layout = "NHWC") -> str:
    image = channels_first(b, x, data_format)
    return restore_layout(b, ops.depth_to_space(b, image, blocksize=block_size, mode="DCR"), data_format)


def _space_to_depth(b: Builder, x: Name, *, block_size: Positive, data_format: Layout = "NHWC") -> str:
    image = channels_first(b, x, data_format)
    return restore_layout(b, ops.space_to_depth(b, image, blocksize=block_size), data_format)


ROWS: dict[str, Row] = {
    "BroadcastTo": _broadcast_to,
    "Concat": _concat,
    "ConcatV2": _concat_before_axis,
    "DepthToSpace": _depth_to_space,
    "ExpandDims": _expand_dims,
    "Fill": _fill,
    "Gather": _gather,
    "GatherNd": _gather_at,
    "GatherV2": _gather,
    "MirrorPad": _mirror_pad,
    "OneHot": _one_hot,
    "Pack": _pack,
    "Pad": _pad,
    "PadV2": _pad,
    "Range": _range,
    "Rank": _rank,
    "Reshape": _reshape,
    "ResizeBicubic": _resize("cubic"),
    "ResizeBilinear": _resize("linear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "ResourceGather": _gather,
    "ReverseV2": _reverse,
    "Roll": _roll,
    "Shape": _shape,
    "ShapeN": _shape,
    "Size": _size,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "SplitV": _split_sizes,
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
