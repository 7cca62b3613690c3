"""Compute max, average and L2-norm pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window


def pooling(x: Any, attributes: dict[str, Any]) -> Any:
    """Reduce the taps of every window. The rule `edge` says what taps outside the image read."""
    x = np.asarray(x, np.float64)
    batch, height, width, channels = x.shape
    kind, edge = attributes["kind"], attributes.get("edge", "exclude")
    if attributes.get("global", False):
        rows, columns = [list(range(height))], [list(range(width))]
    else:
        rows, columns = window.positions(attributes, height, width)
    result = np.zeros((batch, len(rows), len(columns), channels))
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            taps = _taps(x, row_taps, column_taps, "exclude" if kind == "average" else edge)
            if kind == "max":
                result[:, i, j] = taps.max(axis=0)
            elif kind == "l2_norm":
                result[:, i, j] = np.sqrt((taps**2).sum(axis=0))
            else:
                divisor = _divisor(row_taps, column_taps, attributes, height, width)
                result[:, i, j] = taps.sum(axis=0) / max(divisor, 1)
    return result


def _taps(x: Any, rows: list[int], columns: list[int], edge: str) -> Any:
    """Return the elements that a window reads, (taps, batch, channels)."""
    batch, height, width, channels = x.shape
    taps = [np.zeros((0, batch, channels))]
    for y in rows:
        for z in columns:
            if 0 <= y < height and 0 <= z < width:
                taps.append(x[None, :, y, z, :])
            elif edge == "zero":
                taps.append(np.zeros((1, batch, channels)))
            elif edge == "clamp":
                taps.append(x[None, :, min(max(y, 0), height - 1), min(max(z, 0), width - 1), :])
    return np.concatenate(taps)


def _divisor(
    row_taps: list[int], column_taps: list[int], attributes: dict[str, Any], height: int, width: int
) -> int:
    def count(taps: list[int], size: int, before: str, after: str, zeros: str) -> int:
        if attributes.get("edge", "exclude") == "zero":
            return len(taps)
        low, high = -attributes.get(zeros, 0), size + attributes.get(zeros, 0)
        if attributes.get("count_padding", False):
            if attributes.get("padding", "valid") in ("same", "full"):
                return len(taps)  # then all taps outside the image lie in the padding
            low, high = -attributes.get(before, 0), size + attributes.get(after, 0)
        return sum(low <= tap < high for tap in taps)

    return count(row_taps, height, "pad_top", "pad_bottom", "zero_pad_y") * count(
        column_taps, width, "pad_left", "pad_right", "zero_pad_x"
    )
