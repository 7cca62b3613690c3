"""Slice images."""

from __future__ import annotations

from typing import Any

import numpy as np


def part(x: Any, attributes: dict[str, Any]) -> Any:
    axes = [
        ("front", "channels", "stride_channels"),
        ("left", "width", "stride_x"),
        ("top", "height", "stride_y"),
    ]
    for from_end, (first, count, stride) in zip(range(1, x.ndim), axes, strict=False):
        axis, step = x.ndim - from_end, attributes.get(stride, 1)
        start = attributes.get(first, 0) % x.shape[axis]
        x = np.take(x, range(start, x.shape[axis] if step > 0 else -1, step), axis=axis)
        x = np.take(x, range(attributes.get(count, 0) or x.shape[axis]), axis=axis)
    return x
