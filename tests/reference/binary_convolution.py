"""Compute convolutions with weights of one bit: signs are multiplied and added one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window


def binary_convolution(x: Any, weights: dict[str, Any], attributes: dict[str, Any]) -> tuple[Any, Any]:
    """Return the result and, for error bounds, the sum of the absolute values of all terms."""
    x = np.asarray(x, np.float64)
    batch, height, width, channels = x.shape
    sign = np.where(np.asarray(weights["weight"]) >= 0, 1.0, -1.0)
    outputs = sign.shape[0]
    kind = attributes.get("kind", "xnor")
    input_bias = weights.get("input_bias", np.zeros(channels)).astype(np.float64)
    input_scale = weights.get("input_scale", np.ones(channels)).astype(np.float64)
    rows, columns = window.positions(attributes, height, width)
    sums = np.zeros((batch, len(rows), len(columns), outputs))
    terms, beta = np.zeros_like(sums), np.zeros((batch, len(rows), len(columns), 1))
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            for u, y_in in enumerate(row_taps):
                for v, x_in in enumerate(column_taps):
                    inside = 0 <= y_in < height and 0 <= x_in < width
                    pixel = x[:, y_in, x_in] if inside else np.zeros((batch, channels))
                    beta[:, i, j, 0] += np.abs(pixel).mean(axis=1)
                    scaled = (pixel + input_bias) * input_scale
                    sums[:, i, j] += products(scaled, sign[:, u, v], kind)
                    size = (np.abs(pixel) + np.abs(input_bias)) * np.abs(input_scale)
                    terms[:, i, j] += (size if kind == "binary_weights" else np.ones_like(size)).sum(axis=1)[
                        :, None
                    ]
    beta /= len(rows[0]) * len(columns[0])
    scale = weights.get("scale", np.ones(outputs)).astype(np.float64)
    bias = weights.get("bias", np.zeros(outputs)).astype(np.float64)
    factor = scale * (beta if attributes.get("beta_scaling", False) else 1.0)
    return sums * factor + bias, terms * np.abs(factor) + np.abs(bias)


def products(scaled: Any, sign: Any, kind: str) -> Any:
    """Return the sums over the channels of one tap: (batch, outputs) of (batch, channels) and (outputs, channels)."""
    if kind == "binary_weights":
        return scaled @ sign.T
    if kind == "and":
        result = (scaled >= 0).astype(np.float64) @ (sign > 0).T.astype(np.float64)
    else:
        result = np.where(scaled >= 0, 1.0, -1.0) @ sign.T
    result[np.isnan(scaled).any(axis=1)] = np.nan
    return result


def binary_fully_connected(x: Any, weights: dict[str, Any], attributes: dict[str, Any]) -> tuple[Any, Any]:
    """Compute a convolution whose window is the whole image; a vector counts as one pixel."""
    x, weight = np.asarray(x), np.asarray(weights["weight"])
    if x.ndim == 2:
        x, weight = x[:, None, None], weight[:, None, None]
    whole = {"kernel_height": x.shape[1], "kernel_width": x.shape[2]}
    result, magnitude = binary_convolution(x, weights | {"weight": weight}, attributes | whole)
    return result[:, 0, 0], magnitude[:, 0, 0]
