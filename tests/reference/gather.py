"""Rows, columns and channels at given positions."""

from __future__ import annotations

from typing import Any

import numpy as np


def gathered(x: Any, axis: int, indices: list[int]) -> Any:
    return np.stack([np.take(x, index, axis=axis) for index in indices], axis=axis)


def tiled(x: Any, repeats: tuple[int, ...]) -> Any:
    for axis, times in enumerate(repeats, start=1):
        x = np.concatenate([x] * times, axis=axis)
    return x
