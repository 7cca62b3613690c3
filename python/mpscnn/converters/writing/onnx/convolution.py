"""Write transposed, sub-pixel and binary convolutions as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.layout import TO_NCHW
from mpscnn.converters.writing.explicit_window import removed_from, window_of
from mpscnn.converters.writing.onnx.borders import crop_input, pad
from mpscnn.converters.writing.onnx.layer import Layer


def _pad(layer: Layer, name: str, extents: Sequence[int], pads: Sequence[int]) -> str:
    """Add zeros around an image (top, left, bottom, right). Negative numbers crop."""
    return pad(layer, name, extents, pads[:2], pads[2:]) if any(pads) else name


def transposed_convolution(layer: Layer) -> str:
    """Write a ConvTranspose.

    Its full result is cropped or padded to the layer's size, if possible by its attributes.
    """
    (x,) = layer.inputs
    a = layer.attributes
    weight = layer.required("weight")
    if a["kernel_use"] == "gather":
        weight = weight[:, ::-1, ::-1]
    groups = [part.transpose(3, 0, 1, 2) for part in np.split(weight, a["groups"])]
    inputs = [x.name, layer.constant(np.concatenate(groups), "weight")]
    sizes: dict[str, Any] = {
        "group": a["groups"],
        "strides": [a["stride_y"], a["stride_x"]],
        "dilations": [a["dilation_y"], a["dilation_x"]],
    }
    (top, bottom), (left, right) = removed_from(a, x.shape, layer.shape)
    bias = layer.weight("bias")
    # ONNX Runtime requires output padding below the stride.
    if min(top, left) >= 0 and bottom > -a["stride_y"] and right > -a["stride_x"]:
        sizes["pads"] = [top, left, max(bottom, 0), max(right, 0)]
        sizes["output_padding"] = [max(-bottom, 0), max(-right, 0)]
        if bias is not None:
            inputs.append(layer.constant(bias, "bias"))
        return layer.add("ConvTranspose", *inputs, **sizes)
    result = layer.add("ConvTranspose", *inputs, **sizes)
    full = [layer.shape[1] + top + bottom, layer.shape[2] + left + right]
    result = _pad(layer, result, full, [-top, -left, -bottom, -right])
    # The bias is added after the padding, because it also applies to pixels that no kernel reaches.
    return (
        result if bias is None else layer.add("Add", result, layer.constant(layer.per_channel(bias), "bias"))
    )


def depth_to_space(layer: Layer) -> str:
    """Write a DepthToSpace."""
    return _rearranged(layer, layer.inputs[0].name)


def _rearranged(layer: Layer, x: str) -> str:
    mode = "DCR" if layer.attributes["order"] == "position_major" else "CRD"
    return layer.add("DepthToSpace", x, blocksize=layer.attributes["scale"], mode=mode)


def subpixel_convolution(layer: Layer) -> str:
    """Write a convolution, a DepthToSpace, and a crop of incomplete blocks at the bottom and right."""
    (x,) = layer.inputs
    scale = layer.attributes["scale"]
    rows, columns = (-(-extent // scale) for extent in layer.shape[1:3])
    window = window_of(layer.attributes, x.shape, (1, rows, columns, 1))
    name, pads = crop_input(layer, window)
    inputs = [name, layer.constant(layer.required("weight").transpose(TO_NCHW), "weight")]
    if (bias := layer.weight("bias")) is not None:
        inputs.append(layer.constant(bias, "bias"))
    result = layer.add("Conv", *inputs, group=layer.attributes["groups"], pads=pads, **window.sizes)
    rest = [layer.shape[1] - rows * scale, layer.shape[2] - columns * scale]
    return _pad(layer, _rearranged(layer, result), [rows * scale, columns * scale], [0, 0, *rest])


def binary_convolution(layer: Layer) -> str:
    """Write a binary convolution, whose signs are floats in ONNX.

    The zero padding is a separate node before bias and scale of the input, because these also apply to the padding.
    """
    (x,) = layer.inputs
    window = window_of(layer.attributes, x.shape, layer.shape)
    bordered = _pad(layer, x.name, x.shape[1:3], window.pads)
    weight = _binary_weights(layer).transpose(TO_NCHW)
    result = layer.add(
        "Conv", _binary_inputs(layer, bordered), layer.constant(weight, "weight"), **window.sizes
    )
    beta = None
    if layer.attributes["beta_scaling"]:
        share = np.full((1, *weight.shape[1:]), 1 / weight[0].size, np.float32)
        beta = layer.add("Conv", layer.add("Abs", bordered), layer.constant(share, "share"), **window.sizes)
    return _scaled(layer, result, beta)


def binary_fully_connected(layer: Layer) -> str:
    """Write a binary dense layer, whose signs are floats in ONNX."""
    (x,) = layer.inputs
    weight = _binary_weights(layer)
    if x.is_image:
        weight = weight.transpose(TO_NCHW)
    weight = weight.reshape(len(weight), -1)
    inputs = layer.add("Flatten", _binary_inputs(layer, x.name))
    result = layer.add("Gemm", inputs, layer.constant(weight, "weight"), transB=1)
    beta = None
    if layer.attributes["beta_scaling"]:
        share = np.full((1, weight.shape[1]), 1 / weight.shape[1], np.float32)
        sizes = layer.add("Flatten", layer.add("Abs", x.name))
        beta = layer.add("Gemm", sizes, layer.constant(share, "share"), transB=1)
    return _scaled(layer, result, beta)


def _binary_weights(layer: Layer) -> NDArray[np.float32]:
    low = 0.0 if layer.attributes["kind"] == "and" else -1.0
    return np.where(layer.required("weight") >= 0, 1.0, low).astype(np.float32)


def _binary_inputs(layer: Layer, x: str) -> str:
    """Return the inputs of the product: with bias and scale, and as signs if the layer is binary."""
    for operation, role in (("Add", "input_bias"), ("Mul", "input_scale")):
        if (values := layer.weight(role)) is not None:
            shaped = values.reshape(-1, 1, 1) if len(layer.inputs[0].shape) == 4 else values
            x = layer.add(operation, x, layer.constant(shaped, role))
    kind = layer.attributes["kind"]
    if kind == "binary_weights":
        return x
    negative = layer.add("Less", x, layer.constant(0.0, "zero"))
    low = layer.constant(0.0 if kind == "and" else -1.0, "low")
    return layer.add("Where", negative, low, layer.constant(1.0, "high"))


def _scaled(layer: Layer, x: str, beta: str | None) -> str:
    for operation, role in (("Mul", "scale"), ("Add", "bias")):
        if role == "bias" and beta is not None:
            x = layer.add("Mul", x, beta)
        if (values := layer.weight(role)) is not None:
            x = layer.add(operation, x, layer.constant(layer.per_channel(values), role))
    return x
