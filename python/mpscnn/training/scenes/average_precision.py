"""Compute COCO's average precision of detections, without photos' sizes and crowds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
#: The recalls at which a precision is stated, and the score thresholds of curves.
STEPS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class FoundObjects:
    """The objects that a detector found on a photo.

    Attributes:
        boxes: (k, 4) left, top, right and bottom.
        scores: (k,) probabilities.
        classes: (k,) class numbers.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]


@dataclass
class AveragePrecision:
    """Collects the found and true objects of photos, and computes COCO's measures.

    The results are those of pycocotools for annotations without crowds, with all sizes of objects and all detections.
    """

    classes: int
    _scores: list[list[NDArray[np.float64]]] = field(init=False)
    _right: list[list[NDArray[np.bool_]]] = field(init=False)
    _objects: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._scores = [[] for _ in range(self.classes)]
        self._right = [[] for _ in range(self.classes)]
        self._objects = np.zeros(self.classes, np.int64)

    def add(self, found: FoundObjects, boxes: NDArray[np.float64], classes: NDArray[np.int64]) -> None:
        """Add a photo with its true objects. All boxes of a photo have the same unit."""
        # Only classes of this photo are visited: annotations may name many more.
        for number in np.union1d(classes, found.classes).tolist():
            true = boxes[classes == number]
            of_class = found.classes == number
            self._objects[number] += len(true)
            if of_class.any():
                order = np.argsort(-found.scores[of_class], kind="stable")
                self._scores[number].append(found.scores[of_class][order])
                self._right[number].append(_matched(found.boxes[of_class][order], true))

    def by_class(self) -> NDArray[np.float64]:
        """Return the average precision (classes, thresholds), at thresholds 0.5 to 0.95; NaN without true objects."""
        result = np.full((self.classes, len(_THRESHOLDS)), np.nan)
        for number in np.flatnonzero(self._objects):
            if not self._scores[number]:
                result[number] = 0.0
                continue
            order = np.argsort(-np.concatenate(self._scores[number]), kind="stable")
            right = np.concatenate(self._right[number], axis=1)[:, order]
            result[number] = [highest_precision(row, int(self._objects[number])).mean() for row in right]
        return result

    def at_half(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
        """Return what was found of a class, as the threshold of the intersection over union is 0.5.

        The result is the scores (k,) from the highest on, whether each found object is a true one (k,), and the number
        of true objects.
        """
        scores = np.concatenate([*self._scores[number], np.zeros(0)])
        right = np.concatenate([*(row[0] for row in self._right[number]), np.zeros(0, bool)])
        order = np.argsort(-scores, kind="stable")
        return scores[order], right[order], int(self._objects[number])

    @property
    def map(self) -> float:
        """The mean over classes and over thresholds from 0.5 to 0.95; NaN without true objects."""
        return _mean(self.by_class())

    @property
    def map50(self) -> float:
        """The mean over classes at the threshold 0.5; NaN without true objects."""
        return _mean(self.by_class()[:, 0])


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _matched(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which detections (thresholds, k) are right: each takes the free object that it overlaps the most."""
    overlaps = overlaps_of(found, true)
    right = np.zeros((len(_THRESHOLDS), len(found)), bool)
    for row, threshold in zip(right, _THRESHOLDS, strict=True):
        free = np.ones(len(true), bool)
        for index, shares in enumerate(overlaps):
            possible = np.where(free, shares, -1.0)
            # pycocotools takes the last one of equal overlaps.
            best = len(true) - 1 - int(possible[::-1].argmax()) if len(true) else -1
            if best >= 0 and possible[best] >= min(threshold, 1 - 1e-10):
                row[index], free[best] = True, False
    return right


def overlaps_of(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of each pair of boxes (found, true)."""
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (found, true)]
    union = areas[0][:, None] + areas[1][None] - both
    shares: NDArray[np.float64] = both / np.maximum(union, 1e-12)
    return shares


def highest_precision(right: NDArray[np.bool_], objects: int) -> NDArray[np.float64]:
    """Return the highest precision at each of 101 recalls from 0 to 1, or at a higher one; 0 where none is reached.

    Args:
        right: (k,) whether each found object is a true one, the one with the highest score first.
        objects: the number of true objects, which is not 0.
    """
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / objects, STEPS, side="left")
    return np.append(highest, 0.0)[places]
