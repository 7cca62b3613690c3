"""Pad with constant, clamped and mirrored borders, read from a periodic axis rather than computed by a formula."""

from __future__ import annotations

from typing import Any

import numpy as np


def source(position: int, size: int, mode: str) -> int | None:
    """Return the element, of `size`, that stands at a position within or beyond the axis; None for the constant."""
    if 0 <= position < size:
        return position
    if mode == "constant":
        return None
    if mode == "clamp" or size == 1:
        return min(max(position, 0), size - 1)
    there, back = list(range(size)), list(range(size - 1, -1, -1))
    period = there + back if mode == "mirror_with_edge" else there[:-1] + back[:-1]
    return period[position % len(period)]


def padding(x: Any, attributes: dict[str, Any]) -> Any:
    mode = attributes.get("mode", "constant")
    for axis, (before, after) in enumerate(
        [("top", "bottom"), ("left", "right"), ("front", "back")], start=1
    ):
        size = x.shape[axis]
        first, last = -attributes.get(before, 0), size + attributes.get(after, 0)
        positions = [source(position, size, mode) for position in range(first, last)]
        x = np.take(x, [0 if position is None else position for position in positions], axis=axis)
        outside = np.array([position is None for position in positions])
        shape = [-1 if i == axis else 1 for i in range(4)]
        x = np.where(outside.reshape(shape), np.nan, x)  # NaN marks the border until all axes are done
    fill = attributes.get("values") or attributes.get("value", 0.0)
    return np.where(np.isnan(x), np.asarray(fill), x)
