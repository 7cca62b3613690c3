"""Convolution: groups, dilation, depthwise with multiplier; zeros outside the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window


def convolution(x: Any, weight: Any, bias: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    """The result and, for error bounds, the sum of the absolute values of all products."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    batch, height, width, channels = x.shape
    outputs = weight.shape[0]
    groups = attributes.get("groups", 1)
    rows, columns = window.positions(attributes, height, width)
    result = np.zeros((batch, len(rows), len(columns), outputs))
    magnitude = np.zeros_like(result)
    for o in range(outputs):
        group = o // (outputs // groups)
        source = x[..., group * (channels // groups) : (group + 1) * (channels // groups)]
        for i, row_taps in enumerate(rows):
            for j, column_taps in enumerate(columns):
                for u, y_in in enumerate(row_taps):
                    for v, x_in in enumerate(column_taps):
                        if 0 <= y_in < height and 0 <= x_in < width:
                            products = source[:, y_in, x_in, :] * weight[o, u, v]
                            result[:, i, j, o] += products.sum(axis=1)
                            magnitude[:, i, j, o] += np.abs(products).sum(axis=1)
    if bias is not None:
        result += bias
        magnitude += np.abs(bias)
    return result, magnitude
