"""Convert Caffe's layers that slice, concatenate, resize or reshape blobs (named tensors)."""

from __future__ import annotations

import math
from itertools import pairwise

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.file import CaffeLayer
from mpscnn.converters.reading.caffe.row_calls import axis_of
from mpscnn.converters.reading.graph.blocks import crop, split
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.resizing import CORNERS, FROM_EDGE, resize
from mpscnn.converters.values.rows import Ints, Name, Row
from mpscnn.errors import UnsupportedError, WeightsError


def _concat(b: Builder, layer: CaffeLayer, *x: Name, axis: int = 1, concat_dim: int | None = None) -> str:
    if len(x) < 2:
        if not x or not layer.tops:
            raise WeightsError(f"damaged: it has {len(x)} inputs and {len(layer.tops)} results")
        return ops.identity(b, x[0])
    return ops.concatenate(b, *x, axis=_either(axis, concat_dim, "concat_dim", b.rank(x[0])))


def _either(axis: int, old: int | None, name: str, rank: int) -> int:
    """Return an axis that old files state by another name."""
    return axis_of(axis, rank) if old is None else axis_of(old, rank, name)


def _slice(
    b: Builder, layer: CaffeLayer, x: Name, *, axis: int = 1, slice_dim: int | None = None,
    slice_point: Ints = (),
) -> list[str]:  # fmt: skip
    shape, count = b.fixed_shape(x), len(layer.tops)
    axis = _either(axis, slice_dim, "slice_dim", len(shape))
    points = list(slice_point) or [shape[axis] * place // count for place in range(1, count)]
    sizes = [last - first for first, last in pairwise([0, *points, shape[axis]])]
    if len(sizes) != count or min(sizes) < 1:
        raise WeightsError(f"damaged: divides {shape} along axis {axis} at {points} into {count}")
    return split(b, x, axis, sizes)


def _flatten(b: Builder, x: Name, *, axis: int = 1, end_axis: int = -1) -> str:
    """Convert Flatten: the axes from `axis` to `end_axis` are merged."""
    shape = b.fixed_shape(x)
    axis, end = axis_of(axis, len(shape)), axis_of(end_axis, len(shape), "end_axis")
    if axis == 0 or end < axis:
        raise UnsupportedError(f"flattens the axes {axis} to {end} of {shape}")
    if axis == 1 and end == len(shape) - 1:
        return ops.flatten(b, x, axis=1)
    made = (*shape[:axis], math.prod(shape[axis : end + 1]), *shape[end + 1 :])
    return ops.reshape(b, x, [0, *made[1:]])  # an extent of 0 keeps the batch, which may be free


def _reshape(b: Builder, x: Name, *, shape: Ints = (), axis: int = 0, num_axes: int = -1) -> str:
    """Convert Reshape: new extents for all axes, or for `num_axes` axes from `axis` on. 0 keeps one, -1 is inferred."""
    wanted, count, first = list(shape), num_axes, axis
    shape = b.fixed_shape(x)
    first += len(shape) + 1 if first < 0 else 0
    last = len(shape) if count == -1 else first + count
    if not 0 <= first <= last <= len(shape):
        raise WeightsError(f"damaged: reshapes {count} axes from {axis} on of {shape}")
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
    return ops.reshape(b, x, [0, *made[1:]])


def _permute(b: Builder, x: Name, *, order: Ints = ()) -> str:
    rank = len(b.fixed_shape(x))
    return ops.transpose(b, x, perm=[*order, *(axis for axis in range(rank) if axis not in order)])


def _shuffle_channels(b: Builder, x: Name, *, group: int = 1) -> str:
    shape, groups = b.fixed_shape(x), group
    if len(shape) != 4 or groups < 1 or shape[1] % groups:
        raise UnsupportedError(f"shuffles {shape} in {groups} groups")
    _, channels, height, width = shape
    apart = ops.reshape(b, x, [0, groups, channels // groups, height, width])
    return ops.reshape(b, ops.transpose(b, apart, perm=[0, 2, 1, 3, 4]), [0, channels, height, width])


def _crop(b: Builder, x: Name, like: Name, *, axis: int = 2, offset: Ints = ()) -> str:
    """Convert Crop: crop the first input at an offset to the size of the second input."""
    shape, wanted = b.fixed_shape(x), b.fixed_shape(like)
    if len(shape) != len(wanted):
        raise UnsupportedError(f"crops {shape} to {wanted}")
    axes = list(range(axis_of(axis, len(shape)), len(shape)))
    offsets = list(offset) or [0]
    if len(offsets) == 1:
        offsets *= len(axes)
    if len(offsets) != len(axes):
        raise WeightsError(f"damaged: {len(offsets)} offsets for {len(axes)} axes")
    return crop(b, x, axes, offsets, [wanted[one] for one in axes])


def _tile(b: Builder, x: Name, *, axis: int = 1, tiles: int = 0) -> str:
    shape = b.fixed_shape(x)
    axis = axis_of(axis, len(shape))
    if tiles < 1 or axis == 0:
        raise UnsupportedError(f"repeats axis {axis} of {shape} {tiles} times")
    return ops.tile(b, x, [tiles if place == axis else 1 for place in range(len(shape))])


def _interpolation(
    b: Builder, x: Name, *, height: int = 0, width: int = 0, zoom_factor: int | None = None,
    shrink_factor: int | None = None, pad_beg: int = 0, pad_end: int = 0,
) -> str:  # fmt: skip
    """Convert Interp: bilinear resize with aligned corners, to a size or by integer factors."""
    shape, size = b.fixed_shape(x), [height, width]
    if len(shape) != 4 or pad_beg or pad_end:
        raise UnsupportedError(f"resizes {shape} with borders cut off")
    if any(size) and (shrink_factor is not None or zoom_factor is not None):
        raise UnsupportedError("resizes to a size and by factors")
    if not any(size):
        shrink, zoom = (1 if one is None else one for one in (shrink_factor, zoom_factor))
        if min(shrink, zoom) < 1:
            raise WeightsError(f"damaged: its factors are {shrink} and {zoom}")
        size = [(extent - 1) // shrink + 1 for extent in shape[2:]]
        size = [extent + (extent - 1) * (zoom - 1) for extent in size]
    return resize(b, x, size, CORNERS)


def _upsample(b: Builder, *given: Name, scale: int = 2) -> str:
    """Convert Upsample: nearest-neighbour resize by an integer factor."""
    if len(given) != 1:
        raise UnsupportedError("puts elements where a pooling found them, which is not supported")
    (x,) = given
    shape = b.fixed_shape(x)
    if len(shape) != 4 or scale < 1:
        raise UnsupportedError(f"enlarges {shape} {scale} times")
    return resize(b, x, [shape[2] * scale, shape[3] * scale], FROM_EDGE, nearest=True)


ARRAY_OPS: dict[str, Row] = {
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
