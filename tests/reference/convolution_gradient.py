"""Compute gradients of a convolution's input and weight, summed over the same products as the convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import window


def _products(
    attributes: dict[str, Any], height: int, width: int
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield row and column of the result, of the kernel and of the input for each product."""
    rows, columns = window.positions(attributes, height, width)
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            for u, y in enumerate(row_taps):
                for v, x in enumerate(column_taps):
                    if 0 <= y < height and 0 <= x < width:
                        yield i, j, u, v, y, x


def data_gradient(gradient: Any, weight: Any, like: Any, attributes: dict[str, Any]) -> Any:
    groups = attributes.get("groups", 1)
    batch, height, width, channels = like.shape
    outputs = weight.shape[0]
    gradient = np.asarray(gradient, np.float64).reshape(*gradient.shape[:3], groups, outputs // groups)
    weight = np.asarray(weight, np.float64).reshape(groups, outputs // groups, *weight.shape[1:])
    result = np.zeros((batch, height, width, groups, channels // groups))
    for i, j, u, v, y, x in _products(attributes, height, width):
        result[:, y, x] += np.einsum("bgo,goc->bgc", gradient[:, i, j], weight[:, :, u, v])
    return result.reshape(like.shape)


def weight_gradient(source: Any, gradient: Any, attributes: dict[str, Any]) -> Any:
    groups = attributes.get("groups", 1)
    batch, height, width, channels = source.shape
    outputs = gradient.shape[3]
    source = np.asarray(source, np.float64).reshape(batch, height, width, groups, channels // groups)
    gradient = np.asarray(gradient, np.float64).reshape(*gradient.shape[:3], groups, outputs // groups)
    kernel = attributes.get("kernel_height", 1), attributes.get("kernel_width", 1)
    result = np.zeros((groups, outputs // groups, *kernel, channels // groups))
    for i, j, u, v, y, x in _products(attributes, height, width):
        result[:, :, u, v] += np.einsum("bgo,bgc->goc", gradient[:, i, j], source[:, y, x])
    return result.reshape(outputs, *kernel, channels // groups)
