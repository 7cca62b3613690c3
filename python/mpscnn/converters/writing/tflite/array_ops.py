"""Write layers that move elements, constants and products of matrices."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.writing.tflite.arrays import (
    bordered,
    gathered,
    joined,
    positions_of_border,
    reshaped,
    sliced,
    transposed,
)
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.convolution import with_batch
from mpscnn.converters.writing.tflite.layer import Layer

_SIDES = ((1, "top", "bottom"), (2, "left", "right"), (3, "front", "back"))


def reshape(layer: Layer) -> Value:
    """Write a RESHAPE."""
    return reshaped(layer, layer.inputs[0], layer.shape[1:])


def transpose(layer: Layer) -> Value:
    """Write a TRANSPOSE."""
    return transposed(layer, layer.inputs[0], [0, *layer.attributes["axes"]])


def channel_shuffle(layer: Layer) -> Value:
    """Write a channel shuffle: channels become (groups, channels of a group), and these two axes are transposed."""
    (x,), groups = layer.inputs, layer.attributes["groups"]
    rank = len(x.shape)
    cut = reshaped(layer, x, [*x.shape[1:-1], groups, x.shape[-1] // groups])
    turned = transposed(layer, cut, [*range(rank - 1), rank, rank - 1])
    return reshaped(layer, turned, x.shape[1:])


def concatenation(layer: Layer) -> Value:
    """Write a CONCATENATION."""
    return joined(layer, layer.inputs, layer.attributes["axis"] % len(layer.shape))


def gather(layer: Layer) -> Value:
    """Write a GATHER along one axis."""
    axis = layer.attributes["axis"] % len(layer.shape)
    return gathered(layer, layer.inputs[0], layer.attributes["indices"], axis)


def tile(layer: Layer) -> Value:
    """Write a TILE, which repeats the tensor along each axis."""
    (x,), rank = layer.inputs, len(layer.shape)
    repeats = [1, 1, 1, *(layer.attributes[name] for name in ("rows", "columns", "channels"))][-rank:]
    repeats = [1] * (rank - len(repeats)) + repeats
    repeats[0] = 1
    return layer.add("TILE", x, layer.constant(repeats, "repeats"), like=x, shape=layer.shape)


def part(layer: Layer) -> Value:
    """Write a SLICE, or with steps a STRIDED_SLICE."""
    (x,), sides, rank = layer.inputs, layer.attributes, len(layer.shape)
    names = (("front", "stride_channels"), ("left", "stride_x"), ("top", "stride_y"))
    ranges = {}
    for from_end, (first, stride) in zip(range(1, rank), names, strict=False):
        axis, step = rank - from_end, sides[stride]
        start = sides[first] % x.shape[axis]
        ranges[axis] = range(start, start + layer.shape[axis] * step, step)
    return sliced(layer, x, ranges)


def padding(layer: Layer) -> Value:
    """Write a PAD or PADV2, or a GATHER for borders that repeat pixels."""
    (x,), sides = layer.inputs, layer.attributes
    amounts = {axis: (sides[first], sides[last]) for axis, first, last in _SIDES}
    if sides["mode"] != "constant":
        for axis, (before, after) in amounts.items():
            positions = positions_of_border(x.shape[axis], before, after, sides["mode"])
            x = gathered(layer, x, list(positions), axis)
        return x
    made = bordered(layer, x, amounts, float(sides["value"]) if not sides["values"] else 0.0)
    if not sides["values"]:
        return made
    border = np.ones(layer.shape, np.float32)
    covered = [slice(None)]
    for axis, (before, after) in amounts.items():
        covered.append(slice(max(before, 0), max(layer.shape[axis] - max(after, 0), 0)))
    border[tuple(covered)] = 0
    values = border * np.asarray(sides["values"], np.float32)
    return layer.add("ADD", made, layer.constant(values, "values"), activation="NONE")


def constant(layer: Layer) -> Value:
    """Write a constant, repeated for each image of the input."""
    value = layer.constant(layer.required("value")[np.newaxis], "value")
    if layer.repeats_images:
        return value
    shape = with_batch(layer, layer.inputs[0], list(layer.shape[1:]))
    return layer.add("BROADCAST_TO", value, shape)


def take_along_axis(layer: Layer) -> Value:
    """Write a GATHER with other positions for each element of the other axes."""
    x, indices = layer.inputs
    rank, axis = len(layer.shape), layer.attributes["axis"] % len(layer.shape)
    order = [one for one in range(rank) if one != axis] + [axis]
    moved = []
    for value in (x, indices):
        repeats = [1 if one in (0, axis) else layer.shape[one] // value.shape[one] for one in range(rank)]
        if set(repeats) != {1}:
            shape = [extent * count for extent, count in zip(value.shape, repeats, strict=True)]
            value = layer.add("TILE", value, layer.constant(repeats, "repeats"), shape=shape, like=value)
        moved.append(transposed(layer, value, order))
    extent = x.shape[axis]
    low, high = layer.number(-extent, "lowest"), layer.number(extent - 1, "highest")
    limited = layer.add("MINIMUM", layer.add("MAXIMUM", moved[1], low, like=moved[1]), high, like=moved[1])
    places = layer.add("CAST", limited, shape=limited.shape, dtype="int32")
    length = layer.constant(extent, "extent")
    negative = layer.add("LESS", places, layer.constant(0, "zero"), shape=places.shape, dtype="bool")
    wrapped = layer.add("ADD", places, length, shape=places.shape, dtype="int32", activation="NONE")
    places = layer.add("SELECT_V2", negative, wrapped, places, shape=places.shape, dtype="int32")
    taken = layer.add(
        "GATHER", moved[0], places, shape=places.shape, like=moved[0], axis=rank - 1, batches=rank - 1
    )
    return transposed(layer, taken, [order.index(one) for one in range(rank)])


def matrix_product(layer: Layer) -> Value:
    """Write a BATCH_MATMUL of the last two axes."""
    first, second = (layer.attributes[name] for name in ("transpose_first", "transpose_second"))
    result = layer.add("BATCH_MATMUL", *layer.inputs, turns_first=first, turns_second=second)
    scale = layer.attributes["scale"]
    return result if scale == 1 else layer.add("MUL", result, layer.number(scale, "scale"), activation="NONE")
