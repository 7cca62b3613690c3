"""Convert convolutions, poolings and resizes of neural networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer, borders, pair
from mpscnn.converters.reading.onnx_graph.blocks import cast_to_int, crop, cut, image, pad
from mpscnn.converters.reading.onnx_graph.builder import Builder
from mpscnn.converters.reading.onnx_graph.resizing import (
    CORNERS,
    FROM_EDGE,
    HALF_PIXEL,
    resize,
    resize_by_factors,
)
from mpscnn.converters.values.window_sizes import count_of_caffe, crop_to_size, padding_of_result
from mpscnn.errors import UnsupportedError, WeightsError

_KINDS = ("Max", "Average", "L2")
_MAX, _AVERAGE, _L2 = range(3)
_TOP_LEFT_HEAVY = 1


def _padding(layer: Layer) -> dict[str, Any]:
    """Return the padding of a window as attributes: explicit amounts or SAME."""
    if layer.p.has("same"):
        lower = layer.p.same.asymmetryMode == _TOP_LEFT_HEAVY
        return {"auto_pad": "SAME_LOWER" if lower else "SAME_UPPER"}
    top, bottom, left, right = borders(layer.p.valid.paddingAmounts)
    return {"pads": [top, left, bottom, right]}


def _stated_padding(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return where a deconvolution of a stated size is cut. Without amounts in the file, both sides are cut alike."""
    return (
        attributes
        if any(attributes.get("pads", ()))
        else {"auto_pad": attributes.get("auto_pad", "SAME_UPPER")}
    )


def _convolution(b: Builder, layer: Layer) -> str:
    p = layer.p
    if len(layer.inputs) != 1:
        raise UnsupportedError("its weights are a blob that the network computes")
    if b.rank(layer.x) != 4:
        raise UnsupportedError(f"its input has {b.rank(layer.x)} axes; supported are images")
    kernel, strides = pair(p.kernelSize, 3), pair(p.stride, 1)
    groups, filters, channels = int(p.nGroups) or 1, int(p.outputChannels), int(p.kernelChannels)
    if min(kernel + strides) < 1 or filters % groups:
        raise WeightsError(
            f"damaged: a kernel of {kernel} with strides {strides}, {filters} filters in {groups} groups"
        )
    dilations = pair(p.dilationFactor, 1)
    attributes = _padding(layer) | {
        "strides": list(strides),
        "group": groups,
        "kernel_shape": list(kernel),
        "dilations": list(dilations),
    }
    if p.isDeconvolution:
        kind, axis, shape = "ConvTranspose", 1, (channels, filters // groups, *kernel)
        if p.outputShape:
            reach = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
            sides, sizes = b.extents(layer.x)[2:], pair(p.outputShape, 1)
            cropped = crop_to_size(sides, sizes, reach, strides, _stated_padding(attributes))
            attributes |= padding_of_result(cropped, strides)
            attributes.pop("auto_pad", None)
    else:
        kind, axis, shape = "Conv", 0, (filters, channels, *kernel)
    operands = [layer.x, b.weight("weight", layer.weight("weights", shape, axis=axis))]
    if p.hasBias:
        operands.append(b.weight("bias", layer.weight("bias", (filters,))))
    return b.op(kind, *operands, **attributes)


def _pooling(b: Builder, layer: Layer) -> str:
    p, x = layer.p, layer.x
    if not 0 <= p.type < len(_KINDS):
        raise WeightsError(f"damaged: a pooling of the kind {p.type}")
    if p.globalPooling:
        if p.type == _L2:
            return b.op("ReduceL2", x, [-2, -1], keepdims=True)
        return b.op("GlobalMaxPool" if p.type == _MAX else "GlobalAveragePool", x)
    kernel, strides = pair(p.kernelSize, 3), pair(p.stride, 1)
    if min(kernel + strides) < 1:
        raise WeightsError(f"damaged: a window of {kernel} with strides of {strides}")
    attributes: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(strides)}
    if p.has("includeLastPixel"):
        attributes |= _last_pixel(b, x, kernel, strides, pair(p.includeLastPixel.paddingAmounts, 0))
    else:
        attributes |= _padding(layer)
    if p.type == _AVERAGE:
        attributes["count_include_pad"] = int(not p.avgPoolExcludePadding)
    if p.type == _L2:
        attributes["p"] = 2
        return b.op("LpPool", x, **attributes)
    return b.op(f"{_KINDS[p.type]}Pool", x, **attributes)


def _last_pixel(
    b: Builder, x: str, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> dict[str, Any]:
    """Return the padding of a pooling whose output size is rounded up as in Caffe.

    A last window that would begin after the image and its padding is left out.
    """
    for side, taps, stride, amount in zip(b.extents(x)[-2:], kernel, strides, pads, strict=True):
        if side is None:
            raise UnsupportedError(f"its size is rounded up, and the image's is free: {CHOOSE_SIZE}")
        # This refuses a last window outside of the image.
        count_of_caffe(side, stride, taps, amount, upwards=True, padded=any(pads))
    return {"pads": [*pads, *pads], "ceil_mode": 1}


def _padding_layer(b: Builder, layer: Layer) -> str:
    p = layer.p
    amounts = borders(p.paddingAmounts)
    if p.has("reflection"):
        return pad(b, layer.x, amounts, "reflect")
    if p.has("replication"):
        return pad(b, layer.x, amounts, "edge")
    return pad(b, layer.x, amounts, "constant", float(p.constant.value))


def _constant_pad(b: Builder, layer: Layer) -> str:
    """Convert ConstantPad. Its second input replaces the amounts of the file."""
    p = layer.p
    x, amounts = layer.inputs[0], [int(one) for one in p.padAmounts]
    if len(layer.inputs) > 1:
        x, given = layer.two()
        amounts = b.constant_integers(cast_to_int(b, given), "its border")
    if p.padToGivenOutputSizeMode:
        amounts = _amounts_of_sizes(b, x, amounts)
    return pad(b, x, amounts, "constant", float(p.value))


def _amounts_of_sizes(b: Builder, x: str, sizes: Sequence[int]) -> list[int]:
    """Return the border that gives each axis its size.

    `sizes` has two numbers for each axis, of which at most one is not 0. It is the size of the result. The border comes
    before the axis if the first number is not 0, and after it if the second is not.
    """
    shape = b.fixed_shape(x)
    pairs = list(zip(sizes[0::2], sizes[1::2], strict=False))
    if len(sizes) != 2 * len(shape) or any(
        (before and after) or (before or after) < (extent if before or after else 0)
        for extent, (before, after) in zip(shape, pairs, strict=False)
    ):
        raise WeightsError(f"damaged: pads {shape} to {list(sizes)[:16]}")
    return [size and size - extent for extent, pair in zip(shape, pairs, strict=True) for size in pair]


_UPSAMPLE = {0: FROM_EDGE, 1: CORNERS, 2: HALF_PIXEL}
_NEAREST, _BILINEAR = 0, 1


def _upsample(b: Builder, layer: Layer) -> str:
    p = layer.p
    factors = [float(one) for one in p.fractionalScalingFactor or p.scalingFactor] or [1.0, 1.0]
    if p.mode == _NEAREST:
        return resize_by_factors(b, layer.x, factors, FROM_EDGE, nearest=True)
    samples = _UPSAMPLE.get(p.linearUpsampleMode)
    if samples is None or p.mode != _BILINEAR:
        raise WeightsError(f"damaged: its modes are {p.mode} and {p.linearUpsampleMode}")
    return resize_by_factors(b, layer.x, factors, samples)


_SAMPLING = {0: CORNERS, 1: CORNERS, 2: FROM_EDGE}


def _resize(b: Builder, layer: Layer) -> str:
    method = layer.p.mode.samplingMethod
    size = pair(layer.p.targetSize, 1)
    samples = _SAMPLING.get(method)
    if samples is None or (method == 1 and 1 in size):
        raise UnsupportedError(f"its samples lie as its method {method} puts them, which is not supported")
    return resize(b, layer.x, size, samples)


def _crop(b: Builder, layer: Layer) -> str:
    """Convert Crop: by stated rows and columns, or to the size of a second input at an offset."""
    if len(layer.inputs) == 1:
        top, bottom, left, right = borders(layer.p.cropAmounts)
        return cut(b, layer.x, (top, left), (bottom, right))
    x, like = layer.two()
    rank = b.rank(x)
    return crop(b, x, [rank - 2, rank - 1], pair(layer.p.offset, 0), image(b, like)[2:])


WINDOWS: dict[str, Handler] = {
    "constantPad": _constant_pad,
    "convolution": _convolution,
    "crop": _crop,
    "padding": _padding_layer,
    "pooling": _pooling,
    "resizeBilinear": _resize,
    "upsample": _upsample,
}
