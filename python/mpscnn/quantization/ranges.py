"""Choose the scale and zero point of a tensor with the smallest mean squared error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.integer_layers import HIGHEST, LOWEST, Scale

_BINS = 8192  # 32 bins for each integer, if the range is fully used
_LEVELS = 255
#: Shares of the range that are tried: first for both ends together, then for each end.
_SHARES = np.linspace(1.0, 0.2, 81)
#: The smallest scale. The product of two scales is then a normal float32 number.
_MIN_SCALE = 2.0**-60


class Histogram:
    """A histogram of numbers other than zero, because zeros have no error.

    Its bins have equal widths and cover the range from -reach to reach.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._reach = 0.0
        self.lowest = self.highest = 0.0
        self.seen = 0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count finite numbers. The range of the bins is doubled until it includes all of them."""
        flat = values.reshape(-1)
        self.seen += flat.size
        low, high = float(flat.min(initial=0.0)), float(flat.max(initial=0.0))
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        maximum = max(-low, high)
        if maximum == 0.0:
            return
        if self._reach == 0.0:
            # The reach is a power of two, so that doubling it merges pairs of bins exactly.
            self._reach = max(2.0 ** math.ceil(math.log2(maximum)), _MIN_SCALE)
        while self._reach < maximum:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts[:] = 0
            self._counts[_BINS // 4 : _BINS // 4 * 3] = pairs
            self._reach *= 2.0
        places = flat * np.float32(_BINS / (2.0 * self._reach))
        places += np.float32(_BINS / 2)
        counted = np.bincount(places.astype(np.int64), minlength=_BINS + 1)
        self._counts += counted[:_BINS]
        self._counts[-1] += counted[_BINS]
        self._counts[_BINS // 2] -= np.count_nonzero(flat == 0)

    def numbers(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the centres of the bins that are not empty, and their counts."""
        found = np.flatnonzero(self._counts)
        middles = ((found + 0.5) * (2.0 / _BINS) - 1.0) * self._reach
        return np.clip(middles, self.lowest, self.highest), self._counts[found]


def best_scale(histograms: Sequence[Histogram]) -> Scale:
    """Return the scale with the smallest mean squared error for tensors that share it, relative to their mean squares.

    The ends of the range are cut if finer steps reduce the error by more than clipping adds. Zero is always represented
    exactly. Tensors with only zeros have the scale 1.
    """
    low = min(histogram.lowest for histogram in histograms)
    high = max(histogram.highest for histogram in histograms)
    if low == high:
        return Scale(1.0, 0)
    parts = []
    for histogram in histograms:
        numbers, counts = histogram.numbers()
        total = float(np.square(numbers) @ counts)
        if total > 0.0:
            parts.append((numbers, counts / total))
    values = np.concatenate([numbers for numbers, _ in parts])
    weights = np.concatenate([share for _, share in parts])

    def error(candidate: Scale) -> float:
        return float(np.square(candidate.rounded(values) - values) @ weights)

    def best(ends: Sequence[tuple[float, float]]) -> tuple[float, float]:
        return min(ends, key=lambda end: error(_of_range(*end)))

    low, high = best([(low * share, high * share) for share in _SHARES])
    for _ in range(2):
        low, high = best([(low * share, high) for share in _SHARES])
        low, high = best([(low, high * share) for share in _SHARES])
    return _of_range(low, high)


def _of_range(low: float, high: float) -> Scale:
    scale = float(np.float32(max((high - low) / _LEVELS, _MIN_SCALE)))
    zero_point = round(LOWEST - low / scale)
    return Scale(scale, min(max(zero_point, LOWEST), HIGHEST))
