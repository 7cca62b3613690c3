"""Write poolings."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.writing.explicit_window import Window, divisors_of, window_of
from mpscnn.converters.writing.tflite.arrays import sliced
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.convolution import widened
from mpscnn.converters.writing.tflite.layer import LARGEST, Layer
from mpscnn.converters.writing.tflite.options import PADDINGS


def pooling(layer: Layer) -> Value:
    """Write a pooling. Poolings of the whole image become reductions of its axes."""
    (x,), kind = layer.inputs, layer.attributes["kind"]
    if layer.attributes["global"] and kind != "l2_norm":
        axes = layer.constant([1, 2], "axes")
        return layer.add("REDUCE_MAX" if kind == "max" else "MEAN", x, axes, keeps_axes=True)
    window = window_of(
        _whole(layer) if layer.attributes["global"] else layer.attributes, x.shape, layer.shape
    )
    if kind == "max":
        return _max(layer, x, window)
    if kind == "l2_norm":
        squares = layer.add("SQUARE", x, like=x)
        fill = None if layer.attributes["edge"] == "clamp" else 0.0
        return layer.add("SQRT", _sum(layer, squares, window, fill))
    return _average(layer, x, window)


def average_of_all(layer: Layer, x: Value) -> Value:
    """Write the average of the whole image as a pooling, which rounds integers otherwise than a MEAN."""
    window = window_of(_whole(layer) | {"padding": "valid"}, x.shape, layer.shape)
    return _pooled(layer, "AVERAGE_POOL_2D", x, window, PADDINGS["valid"])


def _whole(layer: Layer) -> dict[str, Any]:
    """Return the layer's attributes with a window of the size of the whole image."""
    _, height, width, _ = layer.inputs[0].shape
    return dict(layer.attributes) | {"kernel_height": height, "kernel_width": width}


def _max(layer: Layer, x: Value, window: Window) -> Value:
    edge = layer.attributes["edge"]
    is_plain = edge == "exclude" and window.dilations == [1, 1]
    if is_plain and all(axis.is_same for axis in (window.vertical, window.horizontal)):
        return _pooled(layer, "MAX_POOL_2D", x, window, PADDINGS["same"])
    fill = {"exclude": _lowest(x), "zero": 0.0, "clamp": None}[edge]
    x = widened(layer, x, window, fill)
    if window.dilations == [1, 1]:
        return _pooled(layer, "MAX_POOL_2D", x, window, PADDINGS["valid"])
    return _of_taps(layer, x, window)


def _lowest(x: Value) -> float:
    return -LARGEST if x.grid is None else x.grid.limits.low


def _of_taps(layer: Layer, x: Value, window: Window) -> Value:
    """Write the maximum of one slice of the image for each tap, because MAX_POOL_2D has no dilation."""
    axes = window.vertical, window.horizontal
    result: Value | None = None
    for row in range(axes[0].kernel):
        for column in range(axes[1].kernel):
            ranges = {}
            for number, (axis, tap) in enumerate(zip(axes, (row, column), strict=True), start=1):
                first = tap * axis.dilation
                ranges[number] = range(first, first + (axis.output - 1) * axis.stride + 1, axis.stride)
            part = sliced(layer, x, ranges)
            result = part if result is None else layer.add("MAXIMUM", result, part)
    assert result is not None
    return result


def _pooled(layer: Layer, kind: str, x: Value, window: Window, padding: str) -> Value:
    shape = [1, window.vertical.output, window.horizontal.output, x.shape[3]]
    return layer.add(
        kind,
        x,
        shape=shape,
        padding=padding,
        stride_x=window.horizontal.stride,
        stride_y=window.vertical.stride,
        width=window.horizontal.kernel,
        height=window.vertical.kernel,
        activation="NONE",
    )


def is_plain_average(attributes: Any, window: Window) -> bool:
    """Return True if AVERAGE_POOL_2D alone computes the pooling: the window's taps outside the image do not count."""
    axes = window.vertical, window.horizontal
    if window.dilations != [1, 1]:
        return False
    if all(axis.is_valid for axis in axes):
        return bool(np.all(divisors_of(attributes, window) == np.prod(window.kernel)))
    counts_all = attributes["edge"] == "zero" or attributes["count_padding"]
    counts_all = counts_all or attributes["zero_pad_y"] or attributes["zero_pad_x"]
    return all(axis.is_same for axis in axes) and not counts_all


def _average(layer: Layer, x: Value, window: Window) -> Value:
    """Write an average. The mean of a padded window is corrected where the padding does not count."""
    attributes = layer.attributes
    if is_plain_average(attributes, window):
        is_valid = all(axis.is_valid for axis in (window.vertical, window.horizontal))
        return _pooled(layer, "AVERAGE_POOL_2D", x, window, PADDINGS["valid" if is_valid else "same"])
    factors = np.prod(window.kernel) / divisors_of(attributes, window)
    mean = _mean(layer, x, window, 0.0)
    if np.all(factors == 1):
        return mean
    same = bool(np.all(factors == factors.flat[0]))
    numbers = factors.flat[0] if same else factors.reshape(1, *factors.shape, 1)
    return layer.add(
        "MUL", mean, layer.constant(np.asarray(numbers, np.float32), "counts"), activation="NONE"
    )


def _sum(layer: Layer, x: Value, window: Window, fill: float | None) -> Value:
    area = float(np.prod(window.kernel))
    return layer.add("MUL", _mean(layer, x, window, fill), layer.number(area, "area"), activation="NONE")


def _mean(layer: Layer, x: Value, window: Window, fill: float | None) -> Value:
    """Return the mean of each window of the image with its border."""
    x = widened(layer, x, window, fill)
    if window.dilations == [1, 1]:
        return _pooled(layer, "AVERAGE_POOL_2D", x, window, PADDINGS["valid"])
    channels, (rows, columns) = x.shape[3], window.kernel
    weight = np.full((1, rows, columns, channels), 1 / (rows * columns), np.float32)
    vertical, horizontal = window.vertical, window.horizontal
    return layer.add(
        "DEPTHWISE_CONV_2D",
        x,
        layer.constant(weight, "weights"),
        layer.constant(np.zeros(channels, np.float32), "bias"),
        shape=[1, vertical.output, horizontal.output, channels],
        padding=PADDINGS["valid"],
        stride_x=horizontal.stride,
        stride_y=vertical.stride,
        dilation_x=horizontal.dilation,
        dilation_y=vertical.dilation,
        multiplier=1,
        activation="NONE",
    )
