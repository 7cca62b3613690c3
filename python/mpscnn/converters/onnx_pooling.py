"""Pooling as ONNX nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpscnn.converters.onnx_window import Window, window_of

if TYPE_CHECKING:
    from mpscnn.converters.onnx_export import Layer


def pooling(layer: Layer) -> str:
    """The ONNX nodes of a pooling layer; returns the name of their result."""
    kind = layer.attributes["kind"]
    x = layer.inputs[0]
    if layer.attributes["global"]:
        return layer.add("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", x.name)
    window = window_of(layer.attributes, x.shape, layer.shape)
    if kind == "max":
        return _max(layer, window)
    return _average(layer, window) if _onnx_can_average(layer, window) else _weighted_sum(layer, window)


def _padding_allowed(window: Window) -> bool:
    """Engines refuse padding of poolings that is not smaller than the kernel, which dilation makes useful."""
    return all(pad < kernel for pad, kernel in zip(window.pads, window.kernel * 2, strict=True))


def _max(layer: Layer, window: Window) -> str:
    name = layer.inputs[0].name
    if _padding_allowed(window):
        return layer.add("MaxPool", name, pads=window.pads, **window.sizes)
    top, left, bottom, right = window.pads
    pads = layer.constant([0, 0, top, left, 0, 0, bottom, right], "pads")
    name = layer.add("Pad", name, pads, layer.constant(-np.inf, "lowest"))
    return layer.add("MaxPool", name, **window.sizes)


def _onnx_can_average(layer: Layer, window: Window) -> bool:
    """ONNX has no dilation here in the used opset, and counts the overhang of ceil_mode with the padding."""
    axes = (window.vertical, window.horizontal)
    overhang = layer.attributes["count_padding"] and any(axis.after > axis.stated_after for axis in axes)
    return window.dilations == [1, 1] and _padding_allowed(window) and not overhang


def _average(layer: Layer, window: Window) -> str:
    return layer.add(
        "AveragePool",
        layer.inputs[0].name,
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=window.pads,
        count_include_pad=int(layer.attributes["count_padding"]),
    )


def _weighted_sum(layer: Layer, window: Window) -> str:
    """The sum of each window as a depthwise convolution with ones, divided by the positions that count."""
    channels = layer.shape[3]
    ones = layer.constant(np.ones((channels, 1, *window.kernel), np.float32), "ones")
    name = layer.inputs[0].name
    total = layer.add("Conv", name, ones, group=channels, pads=window.pads, **window.sizes)
    counting = layer.attributes["count_padding"]
    counts = np.outer(window.vertical.counts(counting), window.horizontal.counts(counting))
    return layer.add("Div", total, layer.constant(counts.astype(np.float32), "counts"))
