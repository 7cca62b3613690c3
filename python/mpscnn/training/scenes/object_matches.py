"""Count which objects a detector confuses, and compute its precision and recall for each score threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError
from mpscnn.training.scenes.average_precision import (
    STEPS,
    AveragePrecision,
    FoundObjects,
    highest_precision,
    overlaps_of,
)

#: The intersection over union from which on a found object is a true one.
MATCHING_IOU = 0.5


@dataclass(eq=False)
class ObjectConfusion:
    """Counts found objects by their true class.

    The found objects of a photo are visited from the highest score on, whatever their classes. Each takes the true
    object that is still free and overlaps it the most, if their intersection over union is at least 0.5.

    Args:
        classes: the number of classes.
        threshold: objects with a lower score are not counted.
    """

    classes: int
    threshold: float
    counts: NDArray[np.int64] = field(init=False)
    """`[true class][found class]`, (classes + 1, classes + 1). The last row is background that was taken for an object,
    and the last column has objects that were not found.
    """

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.classes + 1, self.classes + 1), np.int64)

    def add(
        self,
        found: FoundObjects,
        boxes: NDArray[np.float64],
        classes: NDArray[np.int64],
        *,
        difficult: NDArray[np.bool_] | None = None,
        crowds: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add a photo with its true objects.

        Args:
            found: the objects that the detector found.
            boxes: (k, 4) of the true objects, in the unit of `found`.
            classes: (k,) of the true objects.
            difficult, crowds: (k,) the true objects of these kinds are not counted, and neither is an object of their
                class that was found there.
        """
        none = np.zeros(len(boxes), bool)
        difficult, crowds = none if difficult is None else difficult, none if crowds is None else crowds
        counted = ~(difficult | crowds)
        shown = np.flatnonzero(found.scores >= self.threshold)
        shown = shown[np.argsort(-found.scores[shown], kind="stable")]
        true_boxes, true = boxes[counted], classes[counted]
        overlaps, free = overlaps_of(found.boxes[shown], true_boxes), np.ones(len(true), bool)
        left_over = []
        for index, shares in zip(shown.tolist(), overlaps, strict=True):
            possible = np.where(free, shares, -1.0)
            best = int(possible.argmax()) if len(true) else -1
            if best >= 0 and possible[best] >= MATCHING_IOU:
                free[best] = False
                self.counts[true[best], found.classes[index]] += 1
            else:
                left_over.append(index)
        self.counts[:-1, -1] += np.bincount(true[free], minlength=self.classes)
        wrong = np.array(left_over, np.int64)
        same = found.classes[wrong][:, None] == classes[None]
        wrong = wrong[~(same & _left_out(found.boxes[wrong], boxes, difficult, crowds)).any(1)]
        self.counts[-1, :-1] += np.bincount(found.classes[wrong], minlength=self.classes)


def _left_out(
    found: NDArray[np.float64],
    boxes: NDArray[np.float64],
    difficult: NDArray[np.bool_],
    crowds: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which found boxes (k, boxes) are a difficult object, or have at least half of their area in a crowd."""
    low = np.maximum(found[:, None, :2], boxes[None, :, :2])
    high = np.minimum(found[:, None, 2:], boxes[None, :, 2:])
    areas = (found[:, 2:] - found[:, :2]).prod(-1)
    inside = np.clip(high - low, 0, None).prod(-1) >= MATCHING_IOU * np.maximum(areas, 1e-12)[:, None]
    left_out: NDArray[np.bool_] = (difficult & (overlaps_of(found, boxes) >= MATCHING_IOU)) | (
        crowds & inside
    )
    return left_out


@dataclass(frozen=True, eq=False)
class PrecisionCurve:
    """The precision and recall of a class at an intersection over union of 0.5, while the score threshold falls."""

    label: str
    objects: int
    """The number of true objects."""
    scores: NDArray[np.float64]
    """(k,) the scores of the found objects, the highest first."""
    right: NDArray[np.bool_]
    """(k,) whether each found object is a true one."""

    @classmethod
    def of(cls, measured: AveragePrecision, number: int, label: str) -> PrecisionCurve:
        """Return the curve of a class from the objects that were added."""
        scores, right, objects = measured.at_half(number)
        return cls(label, objects, scores, right)

    @property
    def precision(self) -> NDArray[np.float64]:
        """(k,) the share of the found objects with this score or a higher one that are right."""
        share: NDArray[np.float64] = np.cumsum(self.right) / np.arange(1, len(self.right) + 1)
        return share

    @property
    def recall(self) -> NDArray[np.float64]:
        """(k,) the share of the true objects that are found with this score or a higher one; NaN without objects."""
        found = np.cumsum(self.right).astype(np.float64)
        return found / self.objects if self.objects else np.full(len(found), np.nan)

    def by_recall(self) -> NDArray[np.float64]:
        """Return the highest precision at the recalls 0, 0.01, ... 1 or a higher one, which COCO averages; (101,)."""
        if not self.objects:
            return np.full(len(STEPS), np.nan)
        return highest_precision(self.right, self.objects)

    def by_score(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the precision and recall with the score thresholds 0, 0.01, ... 1, each (101,).

        The precision is NaN where nothing is found.
        """
        counts = np.searchsorted(-self.scores, -STEPS, side="right")
        precision, recall = (np.concatenate([[first], values]) for first, values in self._from_nothing())
        return precision[counts], recall[counts]

    def _from_nothing(self) -> tuple[tuple[float, NDArray[np.float64]], tuple[float, NDArray[np.float64]]]:
        """Return precision and recall, each with its value before anything is found."""
        return (np.nan, self.precision), (0.0 if self.objects else np.nan, self.recall)


@dataclass(frozen=True)
class ClassMatches:
    """The objects of a class that a detector finds with its score threshold, 0 to 1.

    Args:
        label: the class's label.
        objects: the number of true objects.
        precision: the share of the objects found as this class that are of this class; None if none is found.
        recall: the share of the true objects that are found as this class; None if there are none.
        f1: the harmonic mean of precision and recall; 0 if no object of the class is found.
    """

    label: str
    objects: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, eq=False)
class ObjectMatches:
    """The found and the true objects of photos, compared."""

    labels: tuple[str, ...] = ()
    """The names of the classes."""
    threshold: float = 0.0
    """The score from which on objects are in `confusion`: the smallest one that the model shows."""
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, 1), np.int64))
    """`[true class][found class]`: the number of objects. The last row is background that was taken for an object, and
    the last column has objects that were not found.
    """
    curves: Sequence[PrecisionCurve] = ()
    """The precision and recall of each class for all scores."""

    def threshold_for(self, precision: float) -> float:
        """Return the lowest score threshold with which at least this share of the found objects is right.

        All classes count together, at an intersection over union of 0.5. Raises ParameterError if there is none, or
        unless `precision` is above 0 and at most 1.
        """
        if not (is_finite_number(precision) and 0 < precision <= 1):
            raise ParameterError(f"precision must be above 0 and at most 1, got {precision!r}")
        scores = np.concatenate([np.zeros(0), *(curve.scores for curve in self.curves)])
        right = np.concatenate([np.zeros(0, bool), *(curve.right for curve in self.curves)])
        order = np.argsort(-scores, kind="stable")
        scores, shares = scores[order], np.cumsum(right[order]) / np.arange(1, len(order) + 1)
        last = np.append(scores[1:] < scores[:-1], True)[: len(scores)]  # of the objects with the same score
        enough = np.flatnonzero(last & (shares >= precision))
        if not len(enough):
            best = f"the highest is {shares[last].max():.3f}" if len(scores) else "nothing was found"
            raise ParameterError(
                f"no score threshold has the precision {precision:g} on these photos: {best}"
            )
        return float(scores[enough[-1]])

    @property
    def classes(self) -> list[ClassMatches]:
        """The figures of each class, in the order of `labels`."""
        return [self._figures(index, label) for index, label in enumerate(self.labels)]

    def _figures(self, index: int, label: str) -> ClassMatches:
        right = int(self.confusion[index, index])
        objects, found = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
        precision = right / found if found else None
        recall = right / objects if objects else None
        return ClassMatches(label, objects, precision, recall, 2 * right / max(objects + found, 1))


@dataclass(frozen=True, eq=False)
class MeasuredObjects:
    """Collects the found and the true objects of photos without crowds."""

    precision: AveragePrecision
    confusion: ObjectConfusion

    def add(self, found: FoundObjects, boxes: NDArray[np.float64], classes: NDArray[np.int64]) -> None:
        """Add a photo with its true objects. All boxes of a photo have the same unit."""
        self.precision.add(found, boxes, classes)
        self.confusion.add(found, boxes, classes)

    def matches(self, labels: Sequence[str]) -> ObjectMatches:
        """Return the confusion matrix and the curves of the classes with these names."""
        curves = [PrecisionCurve.of(self.precision, number, label) for number, label in enumerate(labels)]
        return ObjectMatches(tuple(labels), self.confusion.threshold, self.confusion.counts, curves)
