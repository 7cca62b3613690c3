"""Write convolutions and dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.window_sizes import same_padding
from mpscnn.converters.writing.explicit_window import Window, removed_from, window_of
from mpscnn.converters.writing.tflite.arrays import bordered, gathered, joined, reshaped, sliced
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.converters.writing.tflite.options import PADDINGS

DEPTHWISE_FROM_OHWI = (3, 1, 2, 0)


def windowed(layer: Layer, x: Value, window: Window) -> tuple[Value, str]:
    """Return the input and the padding of a convolution.

    Where neither of TensorFlow's paddings has the window's positions, the input is padded or cropped.
    """
    if all(axis.is_same for axis in (window.vertical, window.horizontal)) and not _is_valid(window):
        return x, PADDINGS["same"]
    return widened(layer, x, window), PADDINGS["valid"]


def _is_valid(window: Window) -> bool:
    return window.vertical.is_valid and window.horizontal.is_valid


def widened(layer: Layer, x: Value, window: Window, fill: float | None = 0.0) -> Value:
    """Return the input of an operator with windows and the padding "valid": padded or cropped, if that is needed.

    The border has the value `fill`, or with None the nearest pixel.
    """
    axes = window.vertical, window.horizontal
    if _is_valid(window):
        return x
    if fill is None:
        for number, axis in enumerate(axes, start=1):
            positions = np.arange(-axis.before, axis.size + axis.exact_after).clip(0, axis.size - 1)
            x = gathered(layer, x, list(positions), number)
        return x
    sides = {}
    for number, axis in enumerate(axes, start=1):
        is_exact = 0 <= axis.stated_after - axis.exact_after < axis.stride
        sides[number] = (axis.before, axis.stated_after if is_exact else axis.exact_after)
    return bordered(layer, x, sides, fill)


def convolution(layer: Layer) -> Value:
    """Write a CONV_2D, a DEPTHWISE_CONV_2D if each input channel is a group, or a dense layer of each pixel."""
    (x,), groups = layer.inputs, layer.attributes["groups"]
    window = window_of(layer.attributes, x.shape, layer.shape)
    outputs = layer.shape[3]
    if layer.attributes["rounds_once"] and layer.required("weight").shape == (outputs, 1, 1, x.shape[3]):
        return _dense(layer, x, layer.parameter("weight", None, (outputs, x.shape[3])), keeps_axes=True)
    is_depthwise = groups == x.shape[3] and groups > 1
    weight = layer.parameter("weight", DEPTHWISE_FROM_OHWI if is_depthwise else None)
    bias = _bias(layer, outputs)
    return convolved(layer, x, window, weight, bias, activation=layer.fused())


def convolved(
    layer: Layer,
    x: Value,
    window: Window,
    weight: Value,
    bias: Value,
    *,
    activation: str = "NONE",
) -> Value:
    """Add a CONV_2D, or a DEPTHWISE_CONV_2D for weights whose first axis is 1 and whose last is the outputs."""
    x, padding = windowed(layer, x, window)
    outputs = bias.shape[0]
    is_depthwise = weight.shape[0] == 1 and weight.shape[3] == outputs != 1
    options: dict[str, Any] = {"multiplier": outputs // x.shape[3]} if is_depthwise else {}
    vertical, horizontal = window.vertical, window.horizontal
    return layer.add(
        "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D",
        x,
        weight,
        bias,
        shape=[1, vertical.output, horizontal.output, outputs],
        padding=padding,
        stride_x=horizontal.stride,
        stride_y=vertical.stride,
        dilation_x=horizontal.dilation,
        dilation_y=vertical.dilation,
        activation=activation,
        **options,
    )


def _bias(layer: Layer, outputs: int) -> Value:
    """Return the bias. LiteRT's kernels need one, so it is zero if the layer has none."""
    if layer.weight("bias") is not None:
        return layer.parameter("bias")
    return layer.constant(np.zeros(outputs, np.float32), "bias")


def fully_connected(layer: Layer) -> Value:
    """Write a FULLY_CONNECTED. Images are flattened before it."""
    (x,), outputs = layer.inputs, layer.attributes["outputs"]
    flat = reshaped(layer, x, [int(np.prod(x.shape[1:]))])
    weight = layer.parameter("weight", None, (outputs, flat.shape[1]))
    return _dense(layer, flat, weight, keeps_axes=False)


def _dense(layer: Layer, x: Value, weight: Value, *, keeps_axes: bool) -> Value:
    return layer.add(
        "FULLY_CONNECTED",
        x,
        weight,
        _bias(layer, weight.shape[0]),
        activation=layer.fused(),
        format="DEFAULT",
        keeps_axes=keeps_axes,
    )


# ---- Transposed convolutions ---------------------------------------------------------------------------------------


def transposed_convolution(layer: Layer) -> Value:
    """Write a TRANSPOSE_CONV for each group. Its full result is cropped or padded, where "same" does not do that."""
    (x,), a = layer.inputs, layer.attributes
    weight = layer.required("weight")
    if a["kernel_use"] == "gather":
        weight = weight[:, ::-1, ::-1]
    weight = _dilated(weight, a["dilation_y"], a["dilation_x"])
    is_plain = a["groups"] == 1 and np.array_equal(weight, layer.required("weight"))
    removed = removed_from(a, x.shape, layer.shape)
    strides = a["stride_y"], a["stride_x"]
    is_same = all(
        _is_same(*given)
        for given in zip(x.shape[1:3], layer.shape[1:3], strides, weight.shape[1:3], removed, strict=True)
    )
    groups = a["groups"]
    bias = layer.weight("bias")
    bias = np.zeros(layer.shape[3], np.float32) if bias is None else bias
    channels = x.shape[3] // groups
    kernels = (
        [layer.parameter("weight")]
        if is_plain
        else [layer.constant(np.ascontiguousarray(part), "weight") for part in np.split(weight, groups)]
    )
    parts = []
    for number, (kernel, own_bias) in enumerate(zip(kernels, np.split(bias, groups), strict=True)):
        own = sliced(layer, x, {3: range(number * channels, (number + 1) * channels)})
        parts.append(_transposed(layer, own, kernel, own_bias if is_same else None, removed))
    result = joined(layer, parts, 3)
    if is_same:
        return result
    sides = {axis: (-before, -after) for axis, (before, after) in enumerate(removed, start=1)}
    result = bordered(layer, result, sides)
    # The bias is added after the border, because it also applies to pixels that no kernel reaches.
    return (
        layer.add("ADD", result, layer.constant(bias, "bias"), activation=layer.fused())
        if bias.any()
        else result
    )


def _is_same(size: int, output: int, stride: int, kernel: int, removed: tuple[int, int]) -> bool:
    """Return True if TensorFlow's padding "same" gives these results of one axis."""
    return -(-output // stride) == size and removed[0] == same_padding(output, stride, kernel)[0]


def _dilated(weight: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Insert zeros between the taps, because TRANSPOSE_CONV has no dilation."""
    outputs, height, width, inputs = weight.shape
    made = np.zeros((outputs, (height - 1) * rows + 1, (width - 1) * columns + 1, inputs), weight.dtype)
    made[:, ::rows, ::columns] = weight
    return made


def _transposed(
    layer: Layer,
    x: Value,
    weight: Value,
    bias: NDArray[Any] | None,
    removed: tuple[tuple[int, int], tuple[int, int]],
) -> Value:
    """Add a TRANSPOSE_CONV: with a bias for the padding "same", otherwise for the full result."""
    is_same = bias is not None
    full = [
        layer.shape[axis] + (0 if is_same else before + after)
        for axis, (before, after) in enumerate(removed, start=1)
    ]
    extents = [*full, weight.shape[0]]
    shape = with_batch(layer, x, extents)
    given = [] if bias is None else [layer.constant(bias, "bias")]
    return layer.add(
        "TRANSPOSE_CONV",
        shape,
        weight,
        x,
        *given,
        shape=[1, *extents],
        padding=PADDINGS["same" if is_same else "valid"],
        stride_y=layer.attributes["stride_y"],
        stride_x=layer.attributes["stride_x"],
        activation="NONE",
    )


def with_batch(layer: Layer, x: Value, extents: list[int]) -> Value:
    """Return a shape: the number of images of `x`, which is known when the graph runs, and these extents."""
    rank = len(x.shape)
    shape = layer.add("SHAPE", x, shape=[rank], dtype="int32", type=2)
    limits = [layer.constant([one], role) for role, one in (("begin", 0), ("end", 1), ("steps", 1))]
    batch = layer.add("STRIDED_SLICE", shape, *limits, shape=[1], dtype="int32", begin_mask=0, end_mask=0)
    others = layer.constant(extents, "extents")
    return layer.add(
        "CONCATENATION", batch, others, shape=[1 + len(extents)], dtype="int32", axis=0, activation="NONE"
    )


# ---- Blocks of pixels ----------------------------------------------------------------------------------------------


def depth_to_space(layer: Layer) -> Value:
    """Write a DEPTH_TO_SPACE, or for channels in PyTorch's order a transposition."""
    return _in_blocks(layer, layer.inputs[0])


def _in_blocks(layer: Layer, x: Value) -> Value:
    scale, (_, height, width, channels) = layer.attributes["scale"], x.shape
    if scale == 1:
        return x
    outputs = channels // scale**2
    if layer.attributes["order"] != "position_major":
        # The channels of each pixel, (outputs, rows, columns), become (rows, columns, outputs).
        order = np.arange(channels).reshape(outputs, scale * scale).T.reshape(-1)
        x = gathered(layer, x, list(order), 3)
    shape = [1, height * scale, width * scale, outputs]
    return layer.add("DEPTH_TO_SPACE", x, shape=shape, like=x, block=scale)


def subpixel_convolution(layer: Layer) -> Value:
    """Write a convolution, a depth-to-space, and a crop of incomplete blocks at the bottom and right."""
    (x,), scale = layer.inputs, layer.attributes["scale"]
    rows, columns = (-(-extent // scale) for extent in layer.shape[1:3])
    window = window_of(layer.attributes, x.shape, (1, rows, columns, 1))
    is_depthwise = layer.attributes["groups"] == x.shape[3] > 1
    weight = layer.parameter("weight", DEPTHWISE_FROM_OHWI if is_depthwise else None)
    bias = _bias(layer, len(layer.required("weight")))
    made = convolved(layer, x, window, weight, bias)
    made = _in_blocks(layer, made)
    return sliced(layer, made, {1: range(layer.shape[1]), 2: range(layer.shape[2])})
