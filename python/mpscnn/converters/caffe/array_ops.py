"""Convert Caffe's layers that slice, concatenate, resize or reshape blobs (named tensors)."""

from __future__ import annotations

import math
from itertools import pairwise

from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.caffe.parameters import Handler, axis_of, input_with_shape, only_input, value
from mpscnn.converters.onnx_graph.blocks import crop, split
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.onnx_graph.resizing import CORNERS, FROM_EDGE, resize
from mpscnn.errors import UnsupportedError, WeightsError


def _concat(b: Builder, layer: CaffeLayer) -> str:
    tensors = [b.tensor(bottom) for bottom in layer.bottoms]
    if len(tensors) < 2:
        return b.op("Identity", only_input(b, layer))
    old = "concat_dim" if layer.parameters.has("concat_dim") else "axis"
    return b.op("Concat", *tensors, axis=axis_of(layer.parameters, 1, b.rank(tensors[0]), old))


def _slice(b: Builder, layer: CaffeLayer) -> list[str]:
    x, shape = input_with_shape(b, layer)
    old = "slice_dim" if layer.parameters.has("slice_dim") else "axis"
    axis = axis_of(layer.parameters, 1, len(shape), old)
    points, count = list(layer.parameters.slice_point), len(layer.tops)
    if not points:
        points = [shape[axis] * place // count for place in range(1, count)]
    sizes = [last - first for first, last in pairwise([0, *points, shape[axis]])]
    if len(sizes) != count or min(sizes) < 1:
        raise WeightsError(f"damaged: divides {shape} along axis {axis} at {points} into {count}")
    return split(b, x, axis, sizes)


def _flatten(b: Builder, layer: CaffeLayer) -> str:
    """Convert Flatten: the axes from `axis` to `end_axis` are merged."""
    x, shape = input_with_shape(b, layer)
    axis = axis_of(layer.parameters, 1, len(shape))
    end = axis_of(layer.parameters, -1, len(shape), "end_axis")
    if axis == 0 or end < axis:
        raise UnsupportedError(f"flattens the axes {axis} to {end} of {shape}")
    if axis == 1 and end == len(shape) - 1:
        return b.op("Flatten", x, axis=1)
    made = (*shape[:axis], math.prod(shape[axis : end + 1]), *shape[end + 1 :])
    return b.op("Reshape", x, [0, *made[1:]])  # an extent of 0 keeps the batch, which may be free


def _reshape(b: Builder, layer: CaffeLayer) -> str:
    """Convert Reshape: new extents for all axes, or for `num_axes` axes from `axis` on. 0 keeps one, -1 is inferred."""
    x, shape = input_with_shape(b, layer)
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
    return b.op("Reshape", x, [0, *made[1:]])


def _permute(b: Builder, layer: CaffeLayer) -> str:
    x, shape = input_with_shape(b, layer)
    order = list(layer.parameters.order)
    return b.op("Transpose", x, perm=[*order, *(axis for axis in range(len(shape)) if axis not in order)])


def _shuffle_channels(b: Builder, layer: CaffeLayer) -> str:
    x, shape = input_with_shape(b, layer)
    groups = value(layer.parameters, "group", 1)
    if len(shape) != 4 or groups < 1 or shape[1] % groups:
        raise UnsupportedError(f"shuffles {shape} in {groups} groups")
    _, channels, height, width = shape
    apart = b.op("Reshape", x, [0, groups, channels // groups, height, width])
    return b.op("Reshape", b.op("Transpose", apart, perm=[0, 2, 1, 3, 4]), [0, channels, height, width])


def _crop(b: Builder, layer: CaffeLayer) -> str:
    """Convert Crop: crop the first input at an offset to the size of the second input."""
    if len(layer.bottoms) != 2:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs")
    x, like = (b.tensor(bottom) for bottom in layer.bottoms)
    shape, wanted = b.fixed_shape(x), b.fixed_shape(like)
    if len(shape) != len(wanted):
        raise UnsupportedError(f"crops {shape} to {wanted}")
    axes = list(range(axis_of(layer.parameters, 2, len(shape)), len(shape)))
    offsets = list(layer.parameters.offset) or [0]
    if len(offsets) == 1:
        offsets *= len(axes)
    if len(offsets) != len(axes):
        raise WeightsError(f"damaged: {len(offsets)} offsets for {len(axes)} axes")
    return crop(b, x, axes, offsets, [wanted[axis] for axis in axes])


def _tile(b: Builder, layer: CaffeLayer) -> str:
    x, shape = input_with_shape(b, layer)
    axis, tiles = axis_of(layer.parameters, 1, len(shape)), int(value(layer.parameters, "tiles", 0))
    if tiles < 1 or axis == 0:
        raise UnsupportedError(f"repeats axis {axis} of {shape} {tiles} times")
    return b.op("Tile", x, [tiles if place == axis else 1 for place in range(len(shape))])


def _interpolation(b: Builder, layer: CaffeLayer) -> str:
    """Convert Interp: bilinear resize with aligned corners, to a size or by integer factors."""
    x, shape = input_with_shape(b, layer)
    p = layer.parameters
    if len(shape) != 4 or value(p, "pad_beg", 0) or value(p, "pad_end", 0):
        raise UnsupportedError(f"resizes {shape} with borders cut off")
    size = [int(value(p, "height", 0)), int(value(p, "width", 0))]
    if any(size) and (p.has("shrink_factor") or p.has("zoom_factor")):
        raise UnsupportedError("resizes to a size and by factors")
    if not any(size):
        shrink, zoom = (int(value(p, name, 1)) for name in ("shrink_factor", "zoom_factor"))
        if min(shrink, zoom) < 1:
            raise WeightsError(f"damaged: its factors are {shrink} and {zoom}")
        size = [(extent - 1) // shrink + 1 for extent in shape[2:]]
        size = [extent + (extent - 1) * (zoom - 1) for extent in size]
    return resize(b, x, size, CORNERS)


def _upsample(b: Builder, layer: CaffeLayer) -> str:
    """Convert Upsample: nearest-neighbour resize by an integer factor."""
    if len(layer.bottoms) != 1:
        raise UnsupportedError("puts elements where a pooling found them, which is not supported")
    x, shape = input_with_shape(b, layer)
    scale = int(value(layer.parameters, "scale", 2))
    if len(shape) != 4 or scale < 1:
        raise UnsupportedError(f"enlarges {shape} {scale} times")
    return resize(b, x, [shape[2] * scale, shape[3] * scale], FROM_EDGE, nearest=True)


ARRAY_OPS: dict[str, Handler] = {
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
