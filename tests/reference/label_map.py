"""Compute the scores of a segmenter for each pixel of a photo, in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reference.preprocess import inner_size, used_part

Size = tuple[int, int]


class Axis(NamedTuple):
    """One axis: `used` of `photo` pixels became `inner` of the input's `size` pixels, from its pixel `first` on."""

    photo: int
    used: float
    size: int
    inner: int
    first: int

    def to_input(self, position: Any) -> Any:
        """Return where a position in the photo lies in the input."""
        begin = (self.photo - self.used) / 2
        return (position - begin) * self.inner / self.used + self.first


def axes_of(photo: Size, size: Size, fit: str, crop_fraction: float, centred: bool) -> tuple[Axis, Axis]:
    """Return the axes of rows and columns for a photo and an input of the sizes (height, width)."""
    used_width, used_height = used_part(photo[1], photo[0], fit, crop_fraction, size[1] / size[0])
    inner_width, inner_height = inner_size(photo[1], photo[0], fit, size[1], size[0])
    top, left = ((size[0] - inner_height) // 2, (size[1] - inner_width) // 2) if centred else (0, 0)
    return (
        Axis(photo[0], used_height, size[0], inner_height, top),
        Axis(photo[1], used_width, size[1], inner_width, left),
    )


def weights_of(axis: Axis, points: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the weight of each point of scores for each pixel (photo pixels, points), and which pixels were seen."""
    each = points / axis.size
    centers = axis.to_input(np.arange(axis.photo) + 0.5) * each
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
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the scores (height, width, classes) at the centre of every pixel, and which pixels were seen."""
    rows, columns = axes_of(photo, size, fit, crop_fraction, centred)
    down, seen_rows = weights_of(rows, scores.shape[0])
    across, seen_columns = weights_of(columns, scores.shape[1])
    values = np.einsum("yi,ijc,xj->yxc", down, scores.astype(np.float64), across)
    return values, seen_rows[:, None] & seen_columns[None, :]
