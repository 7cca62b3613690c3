"""Compute transposed convolutions: every input pixel is spread over the output, tap by tap."""

from __future__ import annotations

from typing import Any

import numpy as np


def axis(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: str,
    before: int = 0,
    after: int = 0,
    output_padding: int = 0,
    output: int = 0,
) -> tuple[int, int]:
    """Return how many positions are cut off at the front, and the output's size.

    The size is `output` unless that is 0.
    """
    reach = (kernel - 1) * dilation + 1
    everything = (size - 1) * stride + reach
    if padding == "explicit":  # as torch.nn.ConvTranspose2d
        return before, output or everything - before - after + output_padding
    if padding == "valid":  # as keras.layers.Conv2DTranspose
        return 0, output or size * stride + max(reach - stride, 0)
    output = output or size * stride
    # tf.nn.conv2d_transpose cuts off the front padding of the convolution that leads from the output to the input.
    return max((-(-output // stride) - 1) * stride + reach - output, 0) // 2, output


def geometry(attributes: dict[str, Any], height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return `axis` for rows and columns. Absent attributes have their defaults."""

    def one(size: int, side: str, suffix: str, pads: tuple[str, str]) -> tuple[int, int]:
        return axis(
            size,
            attributes.get(f"kernel_{side}", 1),
            attributes.get(f"stride_{suffix}", 1),
            attributes.get(f"dilation_{suffix}", 1),
            attributes.get("padding", "valid"),
            attributes.get(pads[0], 0),
            attributes.get(pads[1], 0),
            attributes.get(f"output_padding_{suffix}", 0),
            attributes.get(f"output_{side}", 0),
        )

    rows = one(height, "height", "y", ("pad_top", "pad_bottom"))
    return rows, one(width, "width", "x", ("pad_left", "pad_right"))


def transposed_convolution(x: Any, weight: Any, bias: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    """Return the result and, for error bounds, the sum of the absolute values of all products."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    if attributes.get("kernel_use") == "gather":
        weight = weight[:, ::-1, ::-1]
    batch, height, width, channels = x.shape
    outputs, kernel_height, kernel_width, group_inputs = weight.shape
    (top, rows), (left, columns) = geometry(attributes, height, width)
    result = np.zeros((batch, rows, columns, outputs))
    magnitude = np.zeros_like(result)
    group_outputs = outputs // (channels // group_inputs)
    for o in range(outputs):
        first = o // group_outputs * group_inputs
        source = x[..., first : first + group_inputs]
        for u, v in np.ndindex(kernel_height, kernel_width):
            for i, j in np.ndindex(height, width):
                y_out = i * attributes.get("stride_y", 1) + u * attributes.get("dilation_y", 1) - top
                x_out = j * attributes.get("stride_x", 1) + v * attributes.get("dilation_x", 1) - left
                if 0 <= y_out < rows and 0 <= x_out < columns:
                    products = source[:, i, j] * weight[o, u, v]
                    result[:, y_out, x_out, o] += products.sum(axis=1)
                    magnitude[:, y_out, x_out, o] += np.abs(products).sum(axis=1)
    if bias is not None:
        result += bias
        magnitude += np.abs(bias)
    return result, magnitude
