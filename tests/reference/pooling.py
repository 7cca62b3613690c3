"""Max and average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window


def pooling(x: Any, attributes: dict[str, Any]) -> Any:
    """Maxima ignore what lies outside; averages divide by the taps that count."""
    x = np.asarray(x, np.float64)
    batch, height, width, channels = x.shape
    if attributes.get("global", False):
        return (
            x.max(axis=(1, 2), keepdims=True)
            if attributes["kind"] == "max"
            else x.mean(axis=(1, 2), keepdims=True)
        )
    rows, columns = window.positions(attributes, height, width)
    result = np.zeros((batch, len(rows), len(columns), channels))
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            inside = [
                x[:, y, z, :] for y in row_taps for z in column_taps if 0 <= y < height and 0 <= z < width
            ]
            stack = np.stack(inside)
            if attributes["kind"] == "max":
                result[:, i, j] = stack.max(axis=0)
            else:
                result[:, i, j] = stack.sum(axis=0) / _divisor(
                    row_taps, column_taps, attributes, height, width
                )
    return result


def _divisor(
    row_taps: list[int], column_taps: list[int], attributes: dict[str, Any], height: int, width: int
) -> int:
    def count(taps: list[int], size: int, before: str, after: str) -> int:
        low, high = 0, size
        if attributes.get("count_padding", False):
            if attributes.get("padding", "valid") in ("same", "full"):
                return len(taps)  # these have no overhang: all that is not image is padding
            low, high = -attributes.get(before, 0), size + attributes.get(after, 0)
        return sum(low <= tap < high for tap in taps)

    return count(row_taps, height, "pad_top", "pad_bottom") * count(
        column_taps, width, "pad_left", "pad_right"
    )
