"""Base class of the results of a detector: measures of classes, a confusion matrix, and curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.report import Column, Drawable, Report
from mpscnn.evaluation.confusion import MAX_COLUMNS, confusion_table, frequent_mistakes, seen_classes
from mpscnn.training.curves import Chart, charts_picture
from mpscnn.training.scenes.average_precision import STEPS
from mpscnn.training.scenes.object_matches import ClassMatches, ObjectMatches

if TYPE_CHECKING:
    from PIL import Image as PillowImage

#: The name of the last row and the last column of a detector's confusion matrix.
BACKGROUND = "background"


@dataclass(frozen=True)
class ClassPrecisions:
    """A class of objects with its measures, 0 to 1.

    The average precisions are NaN if no photo has such an object. Precision, recall and F1 are those with the score
    threshold of the model; None or 0 as in `mpscnn.evaluate` of a classifier.
    """

    label: str
    average_precision: float
    """The mean over thresholds of the intersection over union from 0.5 to 0.95."""
    at_half: float
    """The average precision at an intersection over union of 0.5."""
    objects: int | None = None
    """The number of true objects."""
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None

    @classmethod
    def of(cls, average_precision: float, at_half: float, matches: ClassMatches) -> ClassPrecisions:
        """Return the measures of a class."""
        found = {name: value for name, value in vars(matches).items() if name != "label"}
        return cls(matches.label, average_precision, at_half, **found)


class ObjectReport(Report, Drawable):
    """A result that has the found and the true objects of photos, compared."""

    _other_names = (("confusion", "confusion_matrix cm"), ("draw_curves", "plot_curves pr_curve"))

    matches: ObjectMatches

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the rows and columns of `confusion`: the classes, and "background"."""
        return (*self.matches.labels, BACKGROUND)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """`[true class][found class]`: the number of objects with at least the score `score_threshold`.

        The last row is background that was taken for an object, and the last column has objects that were not found. A
        found object belongs to the true object that it overlaps the most, by an intersection over union of at least
        0.5. One true object has one found object, the one with the highest score.
        """
        return self.matches.confusion

    @property
    def score_threshold(self) -> float:
        """The lowest score of the objects in `confusion`: the lowest one that the model shows."""
        return self.matches.threshold

    def mistakes(self, count: int = MAX_COLUMNS) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes as (true class, found class, number of objects)."""
        return frequent_mistakes(self.confusion, self.labels, count)

    def confusion_table(self, *, width: int | None = None) -> str:
        """Return the confusion matrix with a row for each true class.

        With more than 20 classes, or if a line would be longer than `width`, it is a list of the most frequent
        mistakes.
        """
        return confusion_table(self.confusion, self.labels, "objects", width=width)

    def draw(self) -> PillowImage.Image:
        """Draw the confusion matrix: a row for each true class, a column for each found class."""
        from mpscnn.vision.visualize import matrix_picture

        seen = sorted({*seen_classes(self.confusion), len(self.labels) - 1})
        return matrix_picture(self.confusion[np.ix_(seen, seen)], [self.labels[index] for index in seen])

    def draw_curves(self) -> PillowImage.Image:
        """Draw the precision by the recall, and both by the score threshold, as means over the classes."""
        by_score = [curve.by_score() for curve in self.matches.curves]
        return charts_picture(
            [
                _chart(
                    "precision", "recall", {"at IoU 0.5": [one.by_recall() for one in self.matches.curves]}
                ),
                _chart(
                    "",
                    "score threshold",
                    {
                        "precision": [precision for precision, _ in by_score],
                        "recall": [recall for _, recall in by_score],
                    },
                ),
            ]
        )

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("class", lambda one: one.label),
            Column("AP", lambda one: _measure(one.average_precision), right=True),
            Column("AP at 0.5", lambda one: "" if one.objects is None else _measure(one.at_half), right=True),
            Column("objects", lambda one: "" if one.objects is None else f"{one.objects:,}", right=True),
            Column("precision", lambda one: _share(one.precision), right=True),
            Column("recall", lambda one: _share(one.recall), right=True),
            Column("F1", lambda one: _share(one.f1), right=True),
        )

    def _dropped(self) -> Sequence[str]:
        return "objects", "AP at 0.5", "F1", "recall", "precision"

    def confusion_text(self) -> str:
        """Return a sentence about what the confusion matrix counts."""
        return (
            "Confusion: a row for each true class, a column for each found class, of objects with a score of at least "
            f"{self.score_threshold:.3g}. Precision, recall and F1 count the same."
        )

    def _figures(self) -> dict[str, Any]:
        """Return the figures of `matches` for JSON."""
        curves = [
            {
                "label": curve.label,
                "precision_by_recall": [_number(one) for one in curve.by_recall().tolist()],
            }
            for curve in self.matches.curves
        ]
        return {
            "score_threshold": self.score_threshold,
            "labels": list(self.labels),
            "classes": [
                {name: _number(value) for name, value in asdict(one).items()} for one in self._entries()
            ],
            "confusion": self.confusion.tolist(),
            "curves": curves,
        }

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, details, lines, scroll_box
        from mpscnn.vision.visualize import html_picture

        table = scroll_box(self._html_table(self._columns()))
        shown = ""
        if self.matches.labels:
            pictures = f"{html_picture(self.draw())}{html_picture(self.draw_curves())}"
            shown = details("Confusion and curves", Html(f"{lines(self.confusion_text())}{pictures}"))
        return Html(f"<div>{lines(*self._sentences())}{table}{shown}</div>")


def _chart(title: str, across: str, rows: dict[str, list[NDArray[np.float64]]]) -> Chart:
    """Return a chart of numbers from 0 to 1, by a number from 0 to 1. Each line is a mean over classes."""
    return Chart(
        title, {name: _mean(lines) for name, lines in rows.items()}, 1.0, "100%", across=across, right=1.0
    )


def _mean(rows: Iterable[NDArray[np.float64]]) -> list[float]:
    """Return the mean of the numbers at each place that are known; NaN for none."""
    values = np.array([*rows]).reshape(-1, len(STEPS))
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    means: list[float] = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0).tolist()
    return means


def _number(value: Any) -> Any:
    """Return None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _measure(value: float) -> str:
    return "no objects" if math.isnan(value) else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
