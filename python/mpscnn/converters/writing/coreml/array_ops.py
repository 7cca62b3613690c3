"""Convert ONNX operators that slice, concatenate, pad, resize, reshape or transpose to Core ML operations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreml.operator import LARGEST, PROGRAMS_DO, Operator
from mpscnn.errors import UnsupportedError


def _reshape(op: Operator) -> Any:
    target = [int(one) for one in op.constant(1).reshape(-1)]
    target = [op.shape[place] if one == 0 else one for place, one in enumerate(target)]
    if -1 in target:
        rest = math.prod(one for one in target if one != -1)
        target[target.index(-1)] = math.prod(op.shape) // rest
    return op.mb.reshape(x=op.x, shape=target, name=op.name)


def _flatten(op: Operator) -> Any:
    axis = int(op.attributes.get("axis", 1))
    shape = [math.prod(op.shape[:axis]), math.prod(op.shape[axis:])]
    return op.mb.reshape(x=op.x, shape=shape, name=op.name)


def _slice(op: Operator) -> Any:
    return slice_axes(op, op.x, op.ranges(), name=op.name)


def slice_axes(op: Operator, x: Any, ranges: Mapping[int, range], name: str | None = None) -> Any:
    """Slice each axis by a separate operation, because readers make a separate layer for each axis.

    Args:
        op: the operator, for its builder.
        x: the tensor.
        ranges: the positions by axis.
        name: the name of the last operation.
    """
    rank = len(x.shape)
    cut = [axis for axis, positions in ranges.items() if positions != range(x.shape[axis])]
    cut = cut or list(ranges)[:1]
    for axis in cut:
        positions = ranges[axis]
        begin, end, stride = [0] * rank, [0] * rank, [1] * rank
        to_last = positions.stop < 0 or positions.stop >= x.shape[axis]
        begin[axis], stride[axis], end[axis] = (
            positions.start,
            positions.step,
            0 if to_last else positions.stop,
        )
        x = op.mb.slice_by_index(
            x=x,
            begin=begin,
            end=end,
            stride=stride,
            begin_mask=[place != axis for place in range(rank)],
            end_mask=[place != axis or to_last for place in range(rank)],
            **({"name": name} if name is not None and axis == cut[-1] else {}),
        )
    return x


def _pad(op: Operator) -> Any:
    mode = op.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    pads = [int(one) for one in op.constant(1).reshape(-1)]
    rank = len(op.shape)
    amounts = [pads[place + side * rank] for place in range(rank) for side in (0, 1)]
    x = op.x
    if min(amounts) < 0:  # negative amounts crop
        sides = zip(op.shape, amounts[0::2], amounts[1::2], strict=True)
        ranges = {
            axis: range(max(-before, 0), extent + min(after, 0))
            for axis, (extent, before, after) in enumerate(sides)
        }
        amounts = [max(amount, 0) for amount in amounts]
        if not any(amounts):
            return slice_axes(op, x, ranges, name=op.name)
        x = slice_axes(op, x, ranges)
    if mode != "constant":
        if any(amounts[:-4]):
            raise UnsupportedError(f"a border by {mode} around other axes than height and width")
        amounts = amounts[-4:]
    value = float(op.constant(2).reshape(())) if op.given(2) else 0.0
    value = min(max(value, -LARGEST), LARGEST)  # for example -infinity before a max pooling
    kinds = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    if mode not in kinds:
        raise UnsupportedError(f"a border by {mode}")
    return op.mb.pad(x=x, pad=amounts, mode=kinds[mode], constant_val=np.float32(value), name=op.name)


def _gather(op: Operator) -> Any:
    indices = op.constant(1).astype(np.int32)
    return op.mb.gather(x=op.x, indices=indices, axis=op.axis(0), name=op.name)


def _top_k(op: Operator) -> Any:
    count = int(op.constant(1).reshape(-1)[0])
    ascending = not op.attributes.get("largest", 1)
    values, places = op.mb.topk(x=op.x, k=count, axis=op.axis(-1), ascending=ascending, name=op.name)
    return [values, places]


def _gather_elements(op: Operator) -> Any:
    x, places = op.inputs
    return op.mb.gather_along_axis(x=x, indices=places, axis=op.axis(0), name=op.name)


def _tile(op: Operator) -> Any:
    """Repeat each axis by a separate operation, because readers make a separate layer for each axis."""
    counts = [int(one) for one in op.constant(1).reshape(-1)]
    axes = [axis for axis, count in enumerate(counts) if count != 1] or [0]
    x = op.x
    for axis in axes:
        repeats = [count if place == axis else 1 for place, count in enumerate(counts)]
        x = op.mb.tile(x=x, reps=repeats, **({"name": op.name} if axis == axes[-1] else {}))
    return x


def _expand(op: Operator) -> Any:
    target = [int(one) for one in op.constant(1).reshape(-1)]
    shape = [1] * (len(target) - len(op.shape)) + list(op.shape)
    x = op.mb.reshape(x=op.x, shape=shape) if len(shape) != len(op.shape) else op.x
    counts = [max(wanted // extent, 1) for wanted, extent in zip(target, shape, strict=True)]
    return op.mb.tile(x=x, reps=counts, name=op.name)


def _depth_to_space(op: Operator) -> Any:
    block, mode = int(op.attributes["blocksize"]), op.attributes.get("mode", b"DCR")
    if mode in (b"CRD", "CRD"):
        return op.mb.pixel_shuffle(x=op.x, upscale_factor=block, name=op.name)
    return op.mb.depth_to_space(x=op.x, block_size=block, name=op.name)


_SAMPLING = {
    "align_corners": "STRICT_ALIGN_CORNERS",
    "asymmetric": "DEFAULT",
    "half_pixel": "UNALIGN_CORNERS",
}


def _resize(op: Operator) -> Any:
    def text(name: str, default: str) -> str:
        value = op.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    if op.given(3):
        size = [int(one) for one in op.constant(3).reshape(-1)[-2:]]
    else:
        factors = op.constant(2).reshape(-1)[-2:]
        size = [math.floor(side * factor) for side, factor in zip(op.shape[-2:], factors, strict=True)]
    height, width = size
    where, mode = text("coordinate_transformation_mode", "half_pixel"), text("mode", "nearest")
    if mode == "linear" and where in _SAMPLING:
        return op.mb.resize_bilinear(
            x=op.x,
            target_size_height=height,
            target_size_width=width,
            sampling_mode=_SAMPLING[where],
            name=op.name,
        )
    whole = all(wanted % side == 0 for wanted, side in zip(size, op.shape[-2:], strict=True))
    rounding = text("nearest_mode", "round_prefer_floor")
    from_edge = where == "asymmetric" and rounding == "floor"
    centred = where == "half_pixel" and rounding.startswith("round")
    if mode == "nearest" and (from_edge or (whole and centred)):
        if not op.is_program and not whole:
            raise UnsupportedError(
                f"a resize to the nearest pixel by a factor that is not whole, {PROGRAMS_DO}"
            )
        if whole:
            rows, columns = (wanted // side for wanted, side in zip(size, op.shape[-2:], strict=True))
            return op.mb.upsample_nearest_neighbor(
                x=op.x, scale_factor_height=rows, scale_factor_width=columns, name=op.name
            )
        return op.mb.resize_nearest_neighbor(
            x=op.x, target_size_height=height, target_size_width=width, name=op.name
        )
    raise UnsupportedError(
        f"a resize by {mode} with samples as {where} puts them, which Core ML does not have"
    )


ARRAY_OPS: dict[str, Write[Operator, Any]] = {
    "Concat": lambda op: op.mb.concat(values=op.inputs, axis=op.axis(0), name=op.name),
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": lambda op: op.mb.transpose(x=op.x, perm=op.integers("perm", ()), name=op.name),
}
"""The functions that convert operators, by ONNX' name."""
