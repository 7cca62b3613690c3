"""Write poolings as ONNX nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.writing.explicit_window import Window, divisors_of, window_of
from mpscnn.converters.writing.onnx.borders import crop_input, widen_input
from mpscnn.converters.writing.onnx.layer import Layer


def pooling(layer: Layer) -> str:
    """Write a pooling layer and return the name of its result."""
    kind, edge = layer.attributes["kind"], layer.attributes["edge"]
    x = layer.inputs[0]
    if layer.attributes["global"] and kind != "l2_norm":
        return layer.add("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", x.name)
    window = window_of(
        _whole(layer) if layer.attributes["global"] else layer.attributes, x.shape, layer.shape
    )
    plain = edge == "exclude" and not window.crops
    if kind == "max":
        return _max(layer, window, plain)
    if kind == "l2_norm":
        values = widen_input(layer, window, None if edge == "clamp" else 0.0)
        return layer.add("Sqrt", _sum(layer, window, layer.add("Mul", values, values), [0] * 4))
    if plain and _onnx_can_average(layer, window):
        return _average(layer, window)
    (values, pads), divisors = crop_input(layer, window), divisors_of(layer.attributes, window)
    first = divisors.flat[0]
    if np.all(divisors == first):
        return _sum(layer, window, values, pads, 1.0 / first)
    return layer.add("Div", _sum(layer, window, values, pads), layer.constant(divisors, "counts"))


def _whole(layer: Layer) -> dict[str, Any]:
    """Return the layer's attributes with a window of the size of the whole image."""
    _, height, width, _ = layer.inputs[0].shape
    return dict(layer.attributes) | {"kernel_height": height, "kernel_width": width}


def _padding_allowed(window: Window) -> bool:
    """Return True if all padding is smaller than the kernel, because engines refuse poolings with larger padding.

    Larger padding is useful with dilation.
    """
    return all(pad < kernel for pad, kernel in zip(window.pads, window.kernel * 2, strict=True))


def _max(layer: Layer, window: Window, plain: bool) -> str:
    if plain and _padding_allowed(window):
        return layer.add("MaxPool", layer.inputs[0].name, pads=window.pads, **window.sizes)
    fills = {"exclude": -np.inf, "zero": 0.0, "clamp": None}
    return layer.add("MaxPool", widen_input(layer, window, fills[layer.attributes["edge"]]), **window.sizes)


def _onnx_can_average(layer: Layer, window: Window) -> bool:
    """Return True if ONNX' AveragePool can compute the layer.

    In the opset used here AveragePool has no dilation, and it counts windows' overhang in ceil_mode as padding.
    """
    axes = (window.vertical, window.horizontal)
    overhang = layer.attributes["count_padding"] and any(axis.after > axis.stated_after for axis in axes)
    zeros = layer.attributes["zero_pad_y"] or layer.attributes["zero_pad_x"]
    return window.dilations == [1, 1] and _padding_allowed(window) and not overhang and not zeros


def _average(layer: Layer, window: Window) -> str:
    return layer.add(
        "AveragePool",
        layer.inputs[0].name,
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=window.pads,
        count_include_pad=int(layer.attributes["count_padding"]),
    )


def _sum(layer: Layer, window: Window, name: str, pads: list[int], factor: float = 1.0) -> str:
    """Sum each window of an input, by a depthwise convolution with equal weights."""
    channels = layer.shape[3]
    weights = layer.constant(np.full((channels, 1, *window.kernel), factor, np.float32), "weights")
    return layer.add("Conv", name, weights, group=channels, pads=pads, **window.sizes)
