"""Compute gradients of poolings: every window adds its share to the pixels that it read."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import window
from .pooling import _divisor


def pooling_gradient(gradient: Any, x: Any, result: Any, attributes: dict[str, Any]) -> Any:
    gradient, x, result = (np.asarray(value, np.float64) for value in (gradient, x, result))
    _, height, width, _ = x.shape
    kind, edge = attributes["kind"], attributes.get("edge", "exclude")
    if attributes.get("global", False):
        rows, columns = [list(range(height))], [list(range(width))]
    else:
        rows, columns = window.positions(attributes, height, width)
    given = np.zeros_like(x)
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            taps, outside = _positions(
                row_taps, column_taps, height, width, clamps=edge == "clamp" and kind != "average"
            )
            share, of = gradient[:, i, j].copy(), result[:, i, j]
            if kind == "average":
                share /= max(_divisor(row_taps, column_taps, attributes, height, width), 1)
            if kind == "max" and edge == "zero" and outside:
                share[of == 0] = 0
            for y, z in taps:
                tap = x[:, y, z]
                if kind == "average":
                    given[:, y, z] += share
                elif kind == "l2_norm":
                    given[:, y, z] += np.where(of == 0, 0.0, share * tap / np.where(of == 0, 1.0, of))
                else:
                    given[:, y, z] += np.where(tap == of, share, 0.0)
                    share = np.where(tap == of, 0.0, share)
    return given


def _positions(
    rows: list[int], columns: list[int], height: int, width: int, *, clamps: bool
) -> tuple[list[tuple[int, int]], bool]:
    """Return the pixels that a window reads, and whether taps lie outside the image."""
    inside = [(y, z) for y in rows for z in columns if 0 <= y < height and 0 <= z < width]
    outside = len(inside) < len(rows) * len(columns)
    if not clamps:
        return inside, outside
    return [(min(max(y, 0), height - 1), min(max(z, 0), width - 1)) for y in rows for z in columns], outside
