"""Measure a model of tags or numbers on a table of labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.report import Column, Report
from mpscnn.errors import ParameterError
from mpscnn.evaluation.photo_stream import Failed, readable_results
from mpscnn.model import Model
from mpscnn.training.label_measures import average_precision, determination
from mpscnn.training.label_table import read_label_table

Values = NDArray[np.float32]


@dataclass(frozen=True)
class TagFigures:
    """The results for one tag, 0 to 1, with the meaning of scikit-learn's."""

    label: str
    photos: int
    """The number of photos that have the tag."""
    threshold: float
    """The model gives the tag to photos whose probability is at least this."""
    precision: float | None
    """The share of the photos that were given the tag and have it; None if there are none."""
    recall: float | None
    """The share of the photos with the tag that were given it; None if there are none."""
    f1: float
    average_precision: float | None
    """The mean of the precisions of all thresholds; None if no photo has the tag."""


@dataclass(frozen=True)
class NumberFigures:
    """The errors of one number, in its unit, with the meaning of scikit-learn's."""

    label: str
    unit: str
    photos: int
    """The number of photos whose number is known."""
    mean_absolute_error: float | None
    root_mean_squared_error: float | None
    r2: float | None
    """The coefficient of determination, at most 1; None if there are no two different numbers."""


#: For each kind of answers: the measure that stands for all labels, and its name.
_MAIN = {"tags": ("average_precision", "mAP"), "number": ("r2", "R2")}
#: The columns of a table besides label, unit and photos.
_MEASURES = {
    "tags": ("threshold", "precision", "recall", "f1", "average_precision"),
    "number": ("mean_absolute_error", "root_mean_squared_error", "r2"),
}


@dataclass(frozen=True, eq=False)
class LabelEvaluation(Report):
    """The results of a model for tags or numbers on photos whose labels are known."""

    kind: str
    """The kind of `Model.answers`: "tags" or "number"."""
    labels: tuple[TagFigures, ...] | tuple[NumberFigures, ...]
    """The figures of each tag or number."""
    images: int
    seconds: float
    """The seconds for all photos, including decoding and preprocessing."""

    @property
    def score(self) -> float | None:
        """The mean over labels: of the average precision of tags (mAP), or of R2 of numbers; None if none has one."""
        values = [value for one in self.labels if (value := getattr(one, _MAIN[self.kind][0])) is not None]
        return sum(values) / len(values) if values else None

    def _entries(self) -> Sequence[Any]:
        return self.labels

    def _columns(self) -> tuple[Column, ...]:
        def text(name: str) -> Callable[[Any], str]:
            form = ".3f" if self.kind == "tags" else ".4g"
            return lambda one: "" if (value := getattr(one, name)) is None else format(value, form)

        return (
            Column("label", lambda one: one.label),
            Column("unit", lambda one: getattr(one, "unit", "")),
            Column("photos", lambda one: f"{one.photos:,}", right=True),
            *(Column(name.replace("_", " "), text(name), right=True) for name in _MEASURES[self.kind]),
        )

    def _sentences(self) -> list[str]:
        return [repr(self)[1:-1]]

    def summary(self) -> str:
        """Return the score with its name."""
        return f"{_MAIN[self.kind][1]} {'undefined' if self.score is None else f'{self.score:.3f}'}"

    def __repr__(self) -> str:
        return f"<LabelEvaluation of {self.images:,} images: {self.summary()}>"


def evaluate_labels(
    model: Model, photos: Path, table: Path, *, inflight: int = 3, failed: Failed | None = None
) -> LabelEvaluation:
    """Run a model for tags or numbers on the photos of a table of labels: see `mpscnn.evaluate`."""
    answers = model.answers
    if answers is None:
        raise ParameterError(
            f"labels: is for models of tags or numbers, and network {model.name!r} has classes: "
            "mpscnn.evaluate(model, folder) measures it"
        )
    labels = list(model.labels or map(str, range(len(answers.get("units", answers.get("thresholds", ()))))))
    read = read_label_table(table, photos, answers["kind"], known=labels)
    if read.units != answers.get("units", []):
        raise ParameterError(f"{table}: has the units {read.units}, the model {answers['units']}")
    started = time.perf_counter()
    found, true = [], []
    for row, result in readable_results(model, zip(read.paths, read.values, strict=True), inflight, failed):
        found.append(result.probabilities)
        true.append(row)
    if not found:
        raise ParameterError(f"{table}: none of its {len(read.paths)} photos can be read")
    return evaluation_of_values(
        answers, labels, np.array(found), np.array(true), time.perf_counter() - started
    )


def evaluation_of_values(
    answers: Mapping[str, Any], labels: Sequence[str], found: Values, true: Values, seconds: float
) -> LabelEvaluation:
    """Compare the numbers of a model with the truth, both (photos, columns) with NaN for labels that are not known."""
    kind, columns = answers["kind"], zip(labels, found.T, true.T, strict=True)
    figures: Any = (
        (_tag(*one, limit) for one, limit in zip(columns, answers["thresholds"], strict=True))
        if kind == "tags"
        else (_number(*one, unit) for one, unit in zip(columns, answers["units"], strict=True))
    )
    return LabelEvaluation(kind, tuple(figures), len(true), max(seconds, 1e-9))


def _tag(label: str, found: Values, true: Values, threshold: float) -> TagFigures:
    known = ~np.isnan(true)
    has, given = true[known] > 0.5, found[known] >= threshold
    right, photos, taken = int((has & given).sum()), int(has.sum()), int(given.sum())
    return TagFigures(
        label,
        photos,
        threshold,
        right / taken if taken else None,
        right / photos if photos else None,
        2 * right / max(photos + taken, 1),
        average_precision(found, true),
    )


def _number(label: str, found: Values, true: Values, unit: str) -> NumberFigures:
    known = ~np.isnan(true)
    apart = found[known].astype(np.float64) - true[known]
    if not apart.size:
        return NumberFigures(label, unit, 0, None, None, None)
    absolute, square = float(np.abs(apart).mean()), float(np.sqrt(np.square(apart).mean()))
    return NumberFigures(label, unit, len(apart), absolute, square, determination(found, true))
