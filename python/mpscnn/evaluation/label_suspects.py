"""Find labels that are probably wrong, and photos that are copies or unlike all others, from features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Penalties of the linear classifier, relative to the largest variance of the features times the number of photos.
_PENALTIES = np.logspace(-5, 1, 13)
#: How many nearest photos decide whether a photo is odd.
NEIGHBOURS = 10
_ROWS = 1024  # rows of distances that are in memory at a time


class _Fit:
    """A linear classifier of features, fitted by least squares with a penalty.

    The penalty is the one with which photos that were left out are predicted best. Leaving out has a closed form
    (Hastie et al. 2009, "The Elements of Statistical Learning", sections 3.4 and 7.10). The classes' shares of the
    photos are subtracted from the scores, since otherwise small classes would be suspected.

    Attributes:
        unseen: the scores (n, count) of each photo by the fit to all others.
    """

    def __init__(self, features: Floats, classes: NDArray[np.int64], count: int) -> None:
        self._mean = features.mean(axis=0)
        left, sizes, self._right = np.linalg.svd(features - self._mean, full_matrices=False)
        targets = np.eye(count)[classes]
        self._share, self._count = targets.mean(axis=0), count
        along = left.T @ (targets - self._share)
        least = np.inf
        for relative in _PENALTIES:
            penalty = relative * max(float(sizes.max(initial=0)) ** 2, 1e-12)
            kept = (sizes**2 / (sizes**2 + penalty))[:, None]
            own = 1 / len(features) + np.square(left) @ kept
            errors = (targets - self._share - left @ (kept * along)) / (1 - own).clip(1e-6)
            if (total := float(np.square(errors).sum())) < least:
                others = (targets.sum(axis=0) - targets) / max(len(targets) - 1, 1)
                least, self.unseen = total, np.asarray(targets - errors - others + 1 / count)
                self._weights = (sizes / (sizes**2 + penalty))[:, None] * along

    def scores(self, features: Floats) -> Floats:
        """Return the scores of other photos."""
        return np.asarray(1 / self._count + (features - self._mean) @ self._right.T @ self._weights)


def _probabilities(scores: Floats) -> Floats:
    positive = scores.clip(1e-6)
    return np.asarray(positive / positive.sum(axis=1, keepdims=True))


def unseen_probabilities(features: Floats, classes: NDArray[np.int64], count: int) -> Floats:
    """Return the probability of each class for each photo, from a classifier that has not seen this photo's label.

    Leaving out one photo has a closed form, so one fit gives the scores of all photos without their own label.

    Args:
        features: (n, d).
        classes: (n,) class numbers below `count`.

    Returns:
        (n, count): probabilities whose sum is 1.
    """
    return _probabilities(_Fit(features, classes, count).unseen)


def probabilities_of(features: Floats, known: Floats, classes: NDArray[np.int64], count: int) -> Floats:
    """Return the probabilities (n, count) of photos without labels, from the known ones and their classes."""
    return _probabilities(_Fit(known, classes, count).scores(features))


def label_margins(probabilities: Floats, classes: NDArray[np.int64]) -> Floats:
    """Return how well each label fits, 0 to 1: half of 1 + its probability - the largest of the others.

    It is the "normalized_margin" of cleanlab (Northcutt et al. 2021, "Confident Learning").
    """
    rows = np.arange(len(classes))
    others = probabilities.copy()
    others[rows, classes] = -1.0
    return np.asarray((1 + probabilities[rows, classes] - others.max(axis=1)) / 2)


def _distances(points: Floats, others: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield the first row and the distances (rows, others) of blocks of points."""
    squares = np.square(others).sum(axis=1)
    for first in range(0, len(points), _ROWS):
        block = points[first : first + _ROWS]
        squared = np.square(block).sum(axis=1)[:, None] + squares - 2 * block @ others.T
        yield first, np.sqrt(squared.clip(0))


def unit(features: Floats) -> Floats:
    """Return the features with length 1, after their mean was subtracted. Zeros stay zeros."""
    centred = features - features.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=-1, keepdims=True).clip(1e-12))


def neighbour_distances(features: Floats, known: Floats, *, same: bool) -> Floats:
    """Return the distance of each row to its tenth neighbour among the known ones.

    Args:
        features, known: (n, d) and (m, d).
        same: the arrays are the same, and a row is not its own neighbour.
    """
    rank = min(NEIGHBOURS, len(known) - same) + same - 1
    found = [np.partition(distances, rank, axis=1)[:, rank] for _, distances in _distances(features, known)]
    return np.concatenate(found) if found and rank >= 0 else np.zeros(len(features))


def near_pairs(thumbnails: Floats, distance: float) -> list[tuple[int, int, float]]:
    """Return the pairs (first, second, distance) of rows that are at most this far apart, the nearest first."""
    pairs = []
    for first, distances in _distances(thumbnails, thumbnails):
        rows, columns = np.nonzero(distances <= distance)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if first + row < column:
                pairs.append((first + row, column, float(distances[row, column])))
    return sorted(pairs, key=lambda pair: (pair[2], pair[:2]))
