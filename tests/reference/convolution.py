"""Compute convolutions with groups (also depthwise) and dilation. The image is surrounded by zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window


def convolution(x: Any, weight: Any, bias: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    """Return the result and, for error bounds, the sum of the absolute values of all products."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    batch, height, width, channels = x.shape
    outputs, kernel_height, kernel_width, group_channels = weight.shape
    groups = attributes.get("groups", 1)
    x = x.reshape(batch, height, width, groups, channels // groups)
    weight = weight.reshape(groups, outputs // groups, kernel_height, kernel_width, group_channels)
    rows, columns = window.positions(attributes, height, width)
    result = np.zeros((batch, len(rows), len(columns), groups, outputs // groups))
    magnitude = np.zeros_like(result)
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            for u, y_in in enumerate(row_taps):
                for v, x_in in enumerate(column_taps):
                    if 0 <= y_in < height and 0 <= x_in < width:
                        pixel, taps = x[:, y_in, x_in], weight[:, :, u, v]
                        result[:, i, j] += np.einsum("bgc,goc->bgo", pixel, taps)
                        magnitude[:, i, j] += np.einsum("bgc,goc->bgo", np.abs(pixel), np.abs(taps))
    result = result.reshape(batch, len(rows), len(columns), outputs)
    magnitude = magnitude.reshape(result.shape)
    if bias is not None:
        result += bias
        magnitude += np.abs(bias)
    return result, magnitude


def channels_first(x: Any, weight: Any, **attributes: Any) -> Any:
    """Return the convolution of images (n, channels, rows, columns) and kernels (outputs, channels, rows, columns)."""
    sizes = {"kernel_height": weight.shape[2], "kernel_width": weight.shape[3], **attributes}
    result, _ = convolution(np.moveaxis(x, 1, -1), np.moveaxis(weight, 1, -1), None, sizes)
    return np.moveaxis(result, -1, 1)
