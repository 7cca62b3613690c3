"""Measure tags and numbers as scikit-learn does, and points by their distances. NaN: a label is not known."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
#: A point is found if its distance from the truth is at most this share of the photo's longer side (PCK@0.05).
NEAR = 0.05
#: COCO's standard deviations of the points of a person, relative to the square root of the person's area.
_COCO = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}


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


def similarities(found: Values, true: Values, sizes: Values, names: Sequence[str]) -> Values:
    """Return the object keypoint similarity of each point (photos, points), as pycocotools; NaN: not known.

    The similarity is exp(-distance^2 / (2 * area * (2 * deviation)^2)). Each photo shows one object, whose area is
    that of the photo. Points that COCO does not have get the mean of COCO's deviations.

    Args:
        found, true, sizes: as for `distances`.
        names: the names of the points. "left_eye", "right eye" and "eye" have COCO's deviation of eyes.
    """
    deviations = np.array([_deviation(name) for name in names])
    area = sizes.astype(np.float64).prod(1, keepdims=True)
    squares = np.square(distances(found, true, sizes), dtype=np.float64)
    return np.asarray(np.exp(-squares / (2 * area * np.square(2 * deviations))), np.float32)


def _deviation(name: str) -> float:
    part = re.split(r"[ _.:-]", name.lower())[-1]
    return _COCO.get(part, sum(_COCO.values()) / len(_COCO))
