"""Write binary convolutions and dense layers, whose signs are floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.writing.explicit_window import window_of
from mpscnn.converters.writing.tflite.arithmetic import truth
from mpscnn.converters.writing.tflite.arrays import reshaped
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.convolution import widened
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.converters.writing.tflite.options import PADDINGS


def binary_convolution(layer: Layer) -> Value:
    """Write a binary convolution. Bias and scale of the input also apply to the padding, which is a separate PAD."""
    (x,) = layer.inputs
    window = window_of(layer.attributes, x.shape, layer.shape)
    bordered = widened(layer, x, window)
    weight = _weights(layer)

    def product(x: Value, weight: NDArray[np.float32], role: str) -> Value:
        return layer.add(
            "CONV_2D",
            x,
            layer.constant(weight, role),
            layer.constant(np.zeros(len(weight), np.float32), "zeros"),
            shape=[*layer.shape[:3], len(weight)],
            padding=PADDINGS["valid"],
            stride_x=window.horizontal.stride,
            stride_y=window.vertical.stride,
            dilation_x=window.horizontal.dilation,
            dilation_y=window.vertical.dilation,
            activation="NONE",
        )

    result = product(_inputs(layer, bordered), weight, "weight")
    if not layer.attributes["beta_scaling"]:
        return _scaled(layer, result, None)
    share = np.full((1, *weight.shape[1:]), 1 / weight[0].size, np.float32)
    return _scaled(layer, result, product(layer.add("ABS", bordered, like=bordered), share, "share"))


def binary_fully_connected(layer: Layer) -> Value:
    """Write a binary dense layer."""
    (x,) = layer.inputs
    weight = _weights(layer).reshape(layer.shape[1], -1)

    def product(x: Value, weight: NDArray[np.float32], role: str) -> Value:
        flat = reshaped(layer, x, [weight.shape[1]])
        return layer.add(
            "FULLY_CONNECTED",
            flat,
            layer.constant(weight, role),
            layer.constant(np.zeros(len(weight), np.float32), "zeros"),
            shape=[1, len(weight)],
            activation="NONE",
            format="DEFAULT",
            keeps_axes=False,
        )

    result = product(_inputs(layer, x), weight, "weight")
    if not layer.attributes["beta_scaling"]:
        return _scaled(layer, result, None)
    share = np.full((1, weight.shape[1]), 1 / weight.shape[1], np.float32)
    return _scaled(layer, result, product(layer.add("ABS", x, like=x), share, "share"))


def _weights(layer: Layer) -> NDArray[np.float32]:
    low = 0.0 if layer.attributes["kind"] == "and" else -1.0
    return np.where(layer.required("weight") >= 0, 1.0, low).astype(np.float32)


def _inputs(layer: Layer, x: Value) -> Value:
    """Return the inputs of the product: with bias and scale, and as signs if the layer is binary."""
    for kind, role in (("ADD", "input_bias"), ("MUL", "input_scale")):
        if (values := layer.weight(role)) is not None:
            x = layer.add(kind, x, layer.constant(values, role), like=x, activation="NONE")
    if layer.attributes["kind"] == "binary_weights":
        return x
    low = layer.number(0.0 if layer.attributes["kind"] == "and" else -1.0, "low")
    negative = truth(layer, "LESS", x, layer.number(0.0, "zero"))
    return layer.add("SELECT_V2", negative, low, layer.number(1.0, "high"), like=x)


def _scaled(layer: Layer, x: Value, beta: Value | None) -> Value:
    for kind, role in (("MUL", "scale"), ("ADD", "bias")):
        if role == "bias" and beta is not None:
            x = layer.add("MUL", x, beta, like=x, activation="NONE")
        if (values := layer.weight(role)) is not None:
            x = layer.add(kind, x, layer.constant(values, role), like=x, activation="NONE")
    return x
