"""Write transpositions, gathers, tiles, constants and matrix products as ONNX nodes."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.reading.onnx.schema import VALUE
from mpscnn.converters.values.layout import TO_NCHW
from mpscnn.converters.writing.onnx.layer import Layer

_INT64 = 7  # onnx.TensorProto.INT64


def transpose(layer: Layer) -> str:
    """Write a Transpose. Images have the axes NCHW in the ONNX file."""
    (x,) = layer.inputs
    axes = [0, *layer.attributes["axes"]]
    if x.is_image:
        axes = [TO_NCHW.index(axes[axis]) for axis in TO_NCHW]
    return layer.add("Transpose", x.name, perm=axes)


def channel_shuffle(layer: Layer) -> str:
    """Write a channel shuffle: reshape channels to (groups, channels of a group), and transpose these two axes."""
    (x,) = layer.inputs
    groups, rank = layer.attributes["groups"], len(layer.shape)
    axis = 1 if x.is_image else rank - 1
    extents = [layer.shape[i] for i in (TO_NCHW if x.is_image else range(rank))]
    extents[0] = -1
    cut = [*extents[:axis], groups, extents[axis] // groups, *extents[axis + 1 :]]
    order = [*range(axis), axis + 1, axis, *range(axis + 2, rank + 1)]
    name = layer.add("Reshape", x.name, layer.constant(cut, "groups"))
    name = layer.add("Transpose", name, perm=order)
    return layer.add("Reshape", name, layer.constant(extents, "shape"))


def gather(layer: Layer) -> str:
    """Write a Gather along one axis."""
    (x,) = layer.inputs
    axis = layer.attributes["axis"] % len(layer.shape)
    axis = TO_NCHW.index(axis) if x.is_image else axis
    return layer.add("Gather", x.name, layer.constant(layer.attributes["indices"], "indices"), axis=axis)


def take_along_axis(layer: Layer) -> str:
    """Write a GatherElements, for which both tensors are repeated to the same extents along the other axes."""
    x, indices = layer.inputs
    along = layer.attributes["axis"] % len(layer.shape)
    order = TO_NCHW if x.is_image else range(len(layer.shape))
    extent = x.shape[along]
    bounds = [
        layer.constant(float(number), role) for number, role in ((-extent, "lowest"), (extent - 1, "highest"))
    ]
    names: list[str] = []
    for value in (x, indices):
        repeats = [1 if axis in (0, along) else layer.shape[axis] // value.shape[axis] for axis in order]
        name = value.name
        if set(repeats) != {1}:
            name = layer.add("Tile", name, layer.constant(repeats, f"repeats{len(names)}"))
        names.append(name)
    places = layer.add("Cast", layer.add("Clip", names[1], *bounds), to=_INT64)
    return layer.add("GatherElements", names[0], places, axis=list(order).index(along))


def tile(layer: Layer) -> str:
    """Write a Tile, which repeats the tensor along each axis."""
    (x,) = layer.inputs
    repeats = [layer.attributes[name] for name in ("rows", "columns", "channels")]
    repeats = [1, *repeats[4 - len(layer.shape) :]]
    if x.is_image:
        repeats = [repeats[axis] for axis in TO_NCHW]
    return layer.add("Tile", x.name, layer.constant(repeats, "repeats"))


def constant(layer: Layer) -> str:
    """Write a constant for one image.

    It is repeated for each image of the input, unless the layers that read it do so themselves.
    """
    value = layer.required("value")[np.newaxis]
    if value.ndim == 4:
        value = value.transpose(TO_NCHW)
    if layer.repeats_images:
        return layer.builder.constant(value, layer.name)
    name = layer.builder.constant(value, layer.name + VALUE)
    batch = layer.add("Shape", layer.inputs[0].name, start=0, end=1)
    shape = layer.add("Concat", batch, layer.constant([1] * (value.ndim - 1), "ones"), axis=0)
    return layer.add("Expand", name, shape)


def matrix_product(layer: Layer) -> str:
    """Write a MatMul of the last two axes. Images are transposed to NHWC first, where these are width and channels."""
    names = []
    for value, role in zip(layer.inputs, ("transpose_first", "transpose_second"), strict=True):
        rank = len(value.shape)
        order = [TO_NCHW.index(axis) for axis in range(4)] if value.is_image else list(range(rank))
        if layer.attributes[role]:
            order[-2:] = reversed(order[-2:])
        names.append(
            value.name if order == list(range(rank)) else layer.add("Transpose", value.name, perm=order)
        )
    result = layer.add("MatMul", *names)
    if layer.attributes["scale"] != 1:
        result = layer.add("Mul", result, layer.constant(float(layer.attributes["scale"]), "scale"))
    return layer.add("Transpose", result, perm=TO_NCHW) if len(layer.shape) == 4 else result
