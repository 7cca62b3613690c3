"""Compute the gradient of a gather's input."""

from __future__ import annotations

from typing import Any

import numpy as np


def gather_gradient(gradient: Any, axis: int, indices: list[int], extent: int) -> Any:
    gradient = np.moveaxis(np.asarray(gradient, np.float64), axis, 0)
    result = np.zeros((extent, *gradient.shape[1:]))
    for part, index in zip(gradient, indices, strict=True):
        result[index] += part
    return np.moveaxis(result, 0, axis)
