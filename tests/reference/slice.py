"""Parts of images."""

from __future__ import annotations

from typing import Any

import numpy as np


def part(x: Any, attributes: dict[str, Any]) -> Any:
    axes = [("top", "height", "stride_y"), ("left", "width", "stride_x"), ("front", "channels", "")]
    for axis, (first, count, stride) in enumerate(axes, start=1):
        start = attributes.get(first, 0) % x.shape[axis]
        x = np.take(x, range(start, x.shape[axis], attributes.get(stride, 1)), axis=axis)
        x = np.take(x, range(attributes.get(count, 0) or x.shape[axis]), axis=axis)
    return x
