"""Measure tags and numbers as scikit-learn does, and points by their distances. NaN: a label is not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
#: A point is found if its distance from the truth is at most this share of the photo's longer side (PCK@0.05).
NEAR = 0.05


def _steps(scores: Values, true: Values) -> tuple[NDArray[np.float64], ...]:
    """Return the precision and recall of each threshold, the highest first, and the thresholds.

    Some photo must have the tag.
    """
    known = ~np.isnan(true)
    given, has = scores[known].astype(np.float64), true[known] > 0.5
    order = np.argsort(-given, kind="stable")
    ranked = given[order]
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    right = np.cumsum(has[order])[ends]
    return right / (ends + 1), right / has.sum(), ranked[ends]


def average_precision(scores: Values, true: Values) -> float | None:
    """Return the average precision of a tag, 0 to 1, as scikit-learn's `average_precision_score`.

    None: no photo has the tag.
    """
    if not (true > 0.5).any():
        return None
    precision, recall, _ = _steps(scores, true)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def best_threshold(scores: Values, true: Values) -> float:
    """Return the threshold with the best F1, in the middle to the next lower score; 0.5 if no photo has the tag."""
    if not (true > 0.5).any():
        return 0.5
    precision, recall, thresholds = _steps(scores, true)
    both = precision + recall
    best = int(np.argmax(np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)))
    lower = thresholds[best + 1] if best + 1 < len(thresholds) else 0.0
    return float((thresholds[best] + lower) / 2)


def determination(found: Values, true: Values) -> float | None:
    """Return the coefficient of determination of numbers, at most 1, as scikit-learn's `r2_score`.

    None: there are no two different numbers.
    """
    known = ~np.isnan(true)
    true, found = true[known].astype(np.float64), found[known].astype(np.float64)
    total = float(np.square(true - true.mean()).sum()) if len(true) else 0.0
    return 1 - float(np.square(true - found).sum()) / total if total else None


def distances(found: Values, true: Values, sizes: Values) -> Values:
    """Return the distances of points in pixels (photos, points).

    Args:
        found, true: x and y of each point in shares of the photo (photos, 2 * points).
        sizes: (width, height) of the photos.
    """
    apart = (found - true).reshape(len(true), -1, 2) * sizes[:, None]
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]))


def near_points(found: Values, true: Values, sizes: Values) -> Values:
    """Return 1 for points at most `NEAR` of the photo's longer side from the truth, 0 for others; NaN: not known."""
    apart = distances(found, true, sizes)
    return np.where(np.isnan(apart), np.nan, apart <= NEAR * sizes.max(1, keepdims=True)).astype(np.float32)
