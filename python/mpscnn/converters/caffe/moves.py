"""Caffe's layers that slice, join, resize or reshape blobs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import (
    Handler,
    axis_of,
    known,
    same,
    single,
    value,
)
from mpscnn.converters.onnx_graph import Graph, Shape
from mpscnn.errors import UnsupportedError, WeightsError


def _concat(g: Graph, layer: CaffeLayer) -> None:
    tensors = [g.tensor(bottom) for bottom in layer.bottoms]
    shapes = [g.shapes.get(tensor) for tensor in tensors]
    first = shapes[0] if shapes else None
    old = "concat_dim" if layer.parameters.HasField("concat_dim") else "axis"
    axis = axis_of(layer.parameters, 1, None if first is None else len(first), old)
    shape = None
    if first is not None and None not in shapes:
        shape = (*first[:axis], sum(one[axis] for one in shapes if one is not None), *first[axis + 1 :])
    if len(tensors) == 1:
        same(g, layer)
        return
    g.node("Concat", layer.name, tensors, [g.result(layer.tops[0], shape)], axis=axis)


def _slice(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    if shape is None:
        raise UnsupportedError("the shape of its input is not known")
    old = "slice_dim" if layer.parameters.HasField("slice_dim") else "axis"
    axis = axis_of(layer.parameters, 1, len(shape), old)
    points, count = list(layer.parameters.slice_point), len(layer.tops)
    if not points:
        points = [shape[axis] * place // count for place in range(1, count)]
    bounds = [0, *points, shape[axis]]
    sizes = [last - first for first, last in pairwise(bounds)]
    if len(sizes) != count or min(sizes) < 1:
        raise WeightsError(f"damaged: divides {shape} along axis {axis} at {points} into {count}")
    split = g.constant(f"{layer.name}/sizes", np.array(sizes, np.int64))
    tops = [
        g.result(top, (*shape[:axis], size, *shape[axis + 1 :]))
        for top, size in zip(layer.tops, sizes, strict=True)
    ]
    g.node("Split", layer.name, [x, split], tops, axis=axis)


def _flatten(g: Graph, layer: CaffeLayer) -> None:
    """The axes from one to another become one."""
    x, shape = known(g, layer)
    axis = axis_of(layer.parameters, 1, len(shape))
    end = axis_of(layer.parameters, -1, len(shape), "end_axis")
    if axis == 0 or end < axis:
        raise UnsupportedError(f"flattens the axes {axis} to {end} of {shape}")
    made = (*shape[:axis], math.prod(shape[axis : end + 1]), *shape[end + 1 :])
    if axis == 1 and end == len(shape) - 1:
        g.node("Flatten", layer.name, [x], [g.result(layer.tops[0], made)], axis=1)
    else:
        _reshaped(g, layer, x, made)


def _reshaped(g: Graph, layer: CaffeLayer, x: str, made: Shape) -> None:
    """The batch keeps its place, and whatever extent it has."""
    target = g.constant(f"{layer.name}/shape", np.array([0, *made[1:]], np.int64))
    g.node("Reshape", layer.name, [x, target], [g.result(layer.tops[0], made)])


def _reshape(g: Graph, layer: CaffeLayer) -> None:
    """Other axes in place of all, or of `num_axes` from `axis` on; 0 keeps an extent, -1 is what is left."""
    x, shape = known(g, layer)
    p = layer.parameters
    first, count, wanted = int(value(p, "axis", 0)), int(value(p, "num_axes", -1)), list(p.shape.dim)
    first += len(shape) + 1 if first < 0 else 0
    last = len(shape) if count == -1 else first + count
    if not 0 <= first <= last <= len(shape):
        raise WeightsError(f"damaged: reshapes {count} axes from {value(p, 'axis', 0)} on of {shape}")
    filled = []
    for place, extent in enumerate(wanted):
        if extent < -1 or (extent == 0 and first + place >= last):
            raise WeightsError(f"damaged: extent {place} of {shape} is to be {extent}")
        filled.append(shape[first + place] if extent == 0 else extent)
    rest, total = [*shape[:first], *shape[last:]], math.prod(shape)
    known_extents = math.prod(rest) * math.prod(extent for extent in filled if extent != -1)
    if filled.count(-1) > 1 or known_extents == 0 or (-1 in filled and total % known_extents):
        raise WeightsError(f"damaged: reshapes {shape} to {wanted}")
    made = (*shape[:first], *(total // known_extents if one == -1 else one for one in filled), *shape[last:])
    if math.prod(made) != total:
        raise WeightsError(f"damaged: reshapes {shape} to {made}")
    if made[:1] != shape[:1]:
        raise UnsupportedError(f"changes the batch, {shape} to {made}")
    _reshaped(g, layer, x, made)


def _permute(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    order = list(layer.parameters.order)
    rank = len(shape) if shape is not None else len(order)
    order += [axis for axis in range(rank) if axis not in order]
    made = None if shape is None else tuple(shape[axis] for axis in order if axis < rank)
    g.node("Transpose", layer.name, [x], [g.result(layer.tops[0], made)], perm=order)


def _shuffle_channels(g: Graph, layer: CaffeLayer) -> None:
    x, shape = single(g, layer)
    groups = value(layer.parameters, "group", 1)
    if shape is None or len(shape) != 4 or groups < 1 or shape[1] % groups:
        raise UnsupportedError(f"shuffles {shape} in {groups} groups")
    batch, channels, height, width = shape
    apart = g.between(f"{layer.name}/apart", (batch, groups, channels // groups, height, width))
    swapped = g.between(f"{layer.name}/swapped", (batch, channels // groups, groups, height, width))
    divided = np.array([0, groups, channels // groups, height, width], np.int64)
    operand = g.constant(f"{layer.name}/apart/shape", divided)
    g.node("Reshape", f"{layer.name}/apart", [x, operand], [apart])
    g.node("Transpose", f"{layer.name}/swapped", [apart], [swapped], perm=[0, 2, 1, 3, 4])
    operand = g.constant(f"{layer.name}/shape", np.array([0, channels, height, width], np.int64))
    g.node("Reshape", layer.name, [swapped, operand], [g.result(layer.tops[0], shape)])


def _crop(g: Graph, layer: CaffeLayer) -> None:
    """Height and width as those of the second input, from an offset on."""
    if len(layer.bottoms) != 2:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs")
    x, like = (g.tensor(bottom) for bottom in layer.bottoms)
    shape, wanted = g.shapes.get(x), g.shapes.get(like)
    if shape is None or wanted is None or len(shape) != len(wanted):
        raise UnsupportedError("the shapes of its inputs are not known")
    axis = axis_of(layer.parameters, 2, len(shape))
    axes = list(range(axis, len(shape)))
    offsets = list(layer.parameters.offset) or [0]
    if len(offsets) == 1:
        offsets *= len(axes)
    if len(offsets) != len(axes):
        raise WeightsError(f"damaged: {len(offsets)} offsets for {len(axes)} axes")
    ends = [offset + wanted[place] for offset, place in zip(offsets, axes, strict=True)]
    operands = [
        g.constant(f"{layer.name}/{part}", np.array(values, np.int64))
        for part, values in (("starts", offsets), ("ends", ends), ("axes", axes))
    ]
    g.node("Slice", layer.name, [x, *operands], [g.result(layer.tops[0], (*shape[:axis], *wanted[axis:]))])


def _tile(g: Graph, layer: CaffeLayer) -> None:
    x, shape = known(g, layer)
    axis, tiles = axis_of(layer.parameters, 1, len(shape)), int(value(layer.parameters, "tiles", 0))
    if tiles < 1 or axis == 0:
        raise UnsupportedError(f"repeats axis {axis} of {shape} {tiles} times")
    counts = [tiles if place == axis else 1 for place in range(len(shape))]
    operand = g.constant(f"{layer.name}/tiles", np.array(counts, np.int64))
    made = (*shape[:axis], shape[axis] * tiles, *shape[axis + 1 :])
    g.node("Tile", layer.name, [x, operand], [g.result(layer.tops[0], made)])


def _interpolation(g: Graph, layer: CaffeLayer) -> None:
    """Bilinear, the corners on each other: to a size, or to one made by whole factors."""
    x, shape = known(g, layer)
    p = layer.parameters
    if len(shape) != 4 or value(p, "pad_beg", 0) or value(p, "pad_end", 0):
        raise UnsupportedError(f"resizes {shape} with borders cut off")
    size = [int(value(p, "height", 0)), int(value(p, "width", 0))]
    if not any(size):
        shrink, zoom = (int(value(p, name, 1)) for name in ("shrink_factor", "zoom_factor"))
        if min(shrink, zoom) < 1:
            raise WeightsError(f"damaged: its factors are {shrink} and {zoom}")
        size = [(extent - 1) // shrink + 1 for extent in shape[2:]]
        size = [extent + (extent - 1) * (zoom - 1) for extent in size]
    _resized(g, layer, x, (*shape[:2], *size), mode="linear", coordinate_transformation_mode="align_corners")


def _upsample(g: Graph, layer: CaffeLayer) -> None:
    """Each pixel becomes a block."""
    if len(layer.bottoms) != 1:
        raise UnsupportedError("puts elements where a pooling found them, which is not supported")
    x, shape = known(g, layer)
    scale = int(value(layer.parameters, "scale", 2))
    if len(shape) != 4 or scale < 1:
        raise UnsupportedError(f"enlarges {shape} {scale} times")
    made = (*shape[:2], shape[2] * scale, shape[3] * scale)
    _resized(
        g, layer, x, made, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )


def _resized(g: Graph, layer: CaffeLayer, x: str, made: Shape, **attributes: str) -> None:
    if min(made) < 1 or max(made) >= 2**31:
        raise WeightsError(f"damaged: resizes to {made}")
    sizes = g.constant(f"{layer.name}/sizes", np.array(made, np.int64))
    g.node("Resize", layer.name, [x, "", "", sizes], [g.result(layer.tops[0], made)], **attributes)


MOVES: dict[str, Handler] = {
    "Concat": _concat,
    "Crop": _crop,
    "Flatten": _flatten,
    "Interp": _interpolation,
    "Permute": _permute,
    "Reshape": _reshape,
    "ShuffleChannel": _shuffle_channels,
    "Slice": _slice,
    "Tile": _tile,
    "Upsample": _upsample,
}
