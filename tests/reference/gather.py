"""Select rows, columns and channels at given positions."""

from __future__ import annotations

from typing import Any

import numpy as np


def gathered(x: Any, axis: int, indices: list[int]) -> Any:
    return np.stack([np.take(x, index, axis=axis) for index in indices], axis=axis)


def taken_along(x: Any, indices: Any, axis: int) -> Any:
    """Return the elements at positions along an axis.

    Positions are truncated, counted from the end if they are negative, and then limited to the axis. NaN counts as 0.
    """
    extent = x.shape[axis]
    whole = np.trunc(np.nan_to_num(np.asarray(indices, np.float64), nan=0.0))
    positions = np.clip(np.where(whole < 0, whole + extent, whole), 0, extent - 1).astype(np.int64)
    axis %= x.ndim
    shapes = [[1 if i == axis else n for i, n in enumerate(one.shape)] for one in (x, positions)]
    others = np.broadcast_shapes(*shapes)
    x, positions = (
        np.broadcast_to(one, [*others[:axis], one.shape[axis], *others[axis + 1 :]]) for one in (x, positions)
    )
    return np.take_along_axis(x, positions, axis)


def tiled(x: Any, repeats: tuple[int, ...]) -> Any:
    for axis, times in enumerate(repeats, start=1):
        x = np.concatenate([x] * times, axis=axis)
    return x
