"""Compute the scores of a segmenter for each pixel of a photo, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.preprocess import AxisPlace, places

Size = tuple[int, int]


def weights_of(
    axis: AxisPlace, pixels: int, size: int, points: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the weight of each point of scores for each pixel (photo pixels, points), and which pixels were seen."""
    each = points / size
    centers = ((np.arange(pixels) + 0.5 - axis.start) * axis.inner / axis.used + axis.first) * each
    begin = axis.first * each
    end = begin + axis.inner * each
    low = min(begin + 0.5, (begin + end) / 2)
    inside = np.clip(np.clip(centers, low, max(end - 0.5, low)) - 0.5, 0, points - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(inside[:, None] - np.arange(points)))
    return weights, (centers >= begin - 1e-9) & (centers <= end + 1e-9)


def sampled_scores(
    scores: NDArray[Any],
    photo: Size,
    size: Size,
    fit: str = "stretch",
    crop_fraction: float = 1.0,
    centred: bool = True,
    whole_pixels: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the scores (height, width, classes) at the centre of every pixel, and which pixels were seen."""
    columns, rows = places(
        *(photo[1], photo[0], size[1], size[0], fit, crop_fraction),
        whole_pixels=whole_pixels,
        centred=centred,
    )
    down, seen_rows = weights_of(rows, photo[0], size[0], scores.shape[0])
    across, seen_columns = weights_of(columns, photo[1], size[1], scores.shape[1])
    values = np.einsum("yi,ijc,xj->yxc", down, scores.astype(np.float64), across)
    return values, seen_rows[:, None] & seen_columns[None, :]
