"""Sum over the axes that another tensor does not have."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_image(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return a tensor's extents as those of an image. The batch stays first, and missing axes have the extent 1."""
    height, width, channels = (1, 1, 1, *shape[1:])[-3:]
    return shape[0], height, width, channels


def sum_like(x: Any, like: Any) -> Any:
    image = np.asarray(x, np.float64).reshape(as_image(x.shape))
    kept = as_image(like.shape)
    axes = tuple(axis for axis in range(4) if kept[axis] == 1)
    return image.sum(axis=axes, keepdims=True).reshape(like.shape)
