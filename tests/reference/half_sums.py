"""Compute convolutions and dense layers whose sums are halves: each product is added in order and rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window


def convolution(x: Any, weight: Any, bias: Any, attributes: dict[str, Any]) -> Any:
    """Return the float16 sums, computed in float64 and rounded to halves after each addition.

    The product of two halves is exact in float64. Its sum with a half may be rounded to float64, but only where the sum
    lies far from the middle between two halves, so that this does not change the half.
    """
    batch, height, width = x.shape[:3]
    outputs, kernel_height, kernel_width, inputs = weight.shape
    groups = attributes.get("groups", 1)
    halves = np.asarray(x, np.float16).astype(np.float64).reshape(batch, height, width, groups, inputs)
    factors = np.asarray(weight, np.float16).astype(np.float64)
    factors = factors.reshape(groups, outputs // groups, kernel_height, kernel_width, inputs)
    rows, columns = window.positions(attributes, height, width)
    sums = np.empty((batch, len(rows), len(columns), groups, outputs // groups), np.float16)
    sums[...] = np.asarray(bias, np.float16).reshape(groups, outputs // groups)
    with np.errstate(over="ignore"):
        for i, row_taps in enumerate(rows):
            for j, column_taps in enumerate(columns):
                for u, y_in in enumerate(row_taps):
                    for v, x_in in enumerate(column_taps):
                        if not (0 <= y_in < height and 0 <= x_in < width):
                            continue
                        for c in range(inputs):
                            product = halves[:, y_in, x_in, :, c, None] * factors[:, :, u, v, c]
                            sums[:, i, j] = (sums[:, i, j].astype(np.float64) + product).astype(np.float16)
    return sums.reshape(batch, len(rows), len(columns), outputs)


def dense(x: Any, weight: Any, bias: Any) -> Any:
    flat = np.asarray(x).reshape(len(x), 1, 1, -1)
    return convolution(flat, np.asarray(weight).reshape(len(weight), 1, 1, -1), bias, {})[:, 0, 0]
