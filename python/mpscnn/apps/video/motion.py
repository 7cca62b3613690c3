"""Predict the boxes of tracks by Kalman filters with constant velocity, all tracks at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The standard deviations of ByteTrack: those of places and speeds in heights of a box, and those of aspect ratios.
_PLACE, _SPEED = 1 / 20, 1 / 160
_ASPECT, _ASPECT_SPEED, _MEASURED_ASPECT = 1e-2, 1e-5, 1e-1
_ASPECT_COLUMN, _HEIGHT_COLUMN = 2, 3


class Motion:
    """The states of tracks: x and y of the centre, aspect ratio and height, with their speeds.

    The filters of a box's four numbers are independent, because all noise is. So each has a covariance of 2 x 2: three
    numbers.
    """

    def __init__(self) -> None:
        self._place = np.zeros((0, 4))
        self._speed = np.zeros((0, 4))
        self._variance = np.zeros((3, 0, 4))  # of the place, of both, of the speed

    def predict(self, lost: NDArray[np.bool_]) -> None:
        """Move all boxes to the next frame. The heights of lost tracks stay."""
        self._speed[lost, _HEIGHT_COLUMN] = 0.0
        heights = self._place[:, _HEIGHT_COLUMN]
        place, both, speed = self._variance
        self._place = self._place + self._speed
        self._variance = np.stack(
            (
                place + 2 * both + speed + _deviations(heights, _PLACE, _ASPECT) ** 2,
                both + speed,
                speed + _deviations(heights, _SPEED, _ASPECT_SPEED) ** 2,
            )
        )

    def correct(self, tracks: Sequence[int], boxes: Array) -> None:
        """Take the boxes (n, 4) that were found for `tracks`."""
        heights = self._place[tracks, _HEIGHT_COLUMN]
        place, both, _ = self._variance[:, tracks]
        sums = place + _deviations(heights, _PLACE, _MEASURED_ASPECT) ** 2
        errors = _measures(boxes) - self._place[tracks]
        self._place[tracks] += place / sums * errors
        self._speed[tracks] += both / sums * errors
        self._variance[:, tracks] -= np.stack((place * place, place * both, both * both)) / sums

    def add(self, boxes: Array) -> None:
        """Begin tracks with these boxes (n, 4)."""
        places = _measures(boxes)
        heights = places[:, _HEIGHT_COLUMN]
        place = _deviations(heights, 2 * _PLACE, _ASPECT) ** 2
        speed = _deviations(heights, 10 * _SPEED, _ASPECT_SPEED) ** 2
        self._place = np.concatenate((self._place, places))
        self._speed = np.concatenate((self._speed, np.zeros_like(places)))
        fresh = np.stack((place, np.zeros_like(place), speed))
        self._variance = np.concatenate((self._variance, fresh), 1)

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the tracks for which `kept` is False."""
        self._place, self._speed = self._place[kept], self._speed[kept]
        self._variance = self._variance[:, kept]

    def boxes(self) -> Array:
        """Return the boxes (n, 4): left, top, right, bottom."""
        centre, height = self._place[:, :2], self._place[:, _HEIGHT_COLUMN]
        half = np.stack((self._place[:, _ASPECT_COLUMN] * height, height), 1) / 2
        return np.concatenate((centre - half, centre + half), 1)


def _measures(boxes: Array) -> Array:
    """Return centres, aspect ratios and heights of boxes. Sides are at least a hundredth of a pixel."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.01)
    aspects = sides[:, :1] / sides[:, 1:]
    return np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, aspects, sides[:, 1:]), 1)


def _deviations(heights: Array, share: float, aspect: float) -> Array:
    """Return the standard deviations of the four numbers of boxes: `share` of the height, and that of the aspect."""
    result = np.repeat(share * heights[:, None], 4, 1)
    result[:, _ASPECT_COLUMN] = aspect
    return result
