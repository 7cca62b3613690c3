"""Measure a model of tags, numbers or points on a table of labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.report import Column, Drawable, Report
from mpscnn.errors import ParameterError
from mpscnn.evaluation.photo_stream import Failed, readable_results
from mpscnn.model import Model
from mpscnn.training.label_measures import (
    average_precision,
    determination,
    distances,
    near_points,
    similarities,
)
from mpscnn.training.label_table import read_label_table
from mpscnn.vision.answers import KINDS
from mpscnn.vision.photo import open_photo

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.vision.results import Classification

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


@dataclass(frozen=True)
class PointFigures:
    """The distances of one point from the truth."""

    label: str
    photos: int
    """The number of photos on which the point is known."""
    mean_distance: float | None
    """In pixels."""
    pck: float | None
    """The share of photos where the distance is at most 5% of the photo's longer side (PCK@0.05)."""
    oks: float | None
    """The mean object keypoint similarity of COCO, 0 to 1. The whole photo counts as the object."""


#: For each kind of answers: the measure that stands for all labels, and its name.
_MAIN = {"tags": ("average_precision", "mAP"), "number": ("r2", "R2"), "keypoints": ("pck", "PCK@0.05")}
#: The columns of a table besides label, unit and photos.
_MEASURES = {
    "tags": ("threshold", "precision", "recall", "f1", "average_precision"),
    "number": ("mean_absolute_error", "root_mean_squared_error", "r2"),
    "keypoints": ("mean_distance", "pck", "oks"),
}


@dataclass(frozen=True, eq=False)
class LabelEvaluation(Report, Drawable):
    """The results of a model for tags, numbers or points on photos whose labels are known."""

    kind: str
    """The kind of `Model.answers`: "tags", "number" or "keypoints"."""
    labels: tuple[TagFigures, ...] | tuple[NumberFigures, ...] | tuple[PointFigures, ...]
    """The figures of each tag, number or point."""
    images: int
    seconds: float
    """The seconds for all photos, including decoding and preprocessing."""

    @property
    def score(self) -> float | None:
        """The mean over labels: average precision of tags, R2 of numbers, or PCK of points; None if none has one."""
        values = [value for _, value in self._scores()]
        return sum(values) / len(values) if values else None

    def _scores(self) -> list[tuple[str, float]]:
        """Return the labels that have the measure that `score` is the mean of, and their values."""
        measure = _MAIN[self.kind][0]
        return [(one.label, value) for one in self.labels if (value := getattr(one, measure)) is not None]

    def draw(self) -> PillowImage.Image:
        """Return a picture with a bar for each label: the measure that `score` is the mean of."""
        from mpscnn._private.bars import bar_picture

        entries = [(f"{label}: {value:.3f}", max(value, 0.0)) for label, value in self._scores()]
        return bar_picture(f"{self.images:,} images: {self.summary()}", entries)

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
    """Run a model for tags, numbers or points on the photos of a table of labels: see `mpscnn.evaluate`."""

    def find(samples: Iterable[tuple[Any, int]]) -> Iterator[tuple[int, Classification]]:
        return readable_results(model, samples, inflight, failed)

    return evaluate_with(find, model, photos, table)


def evaluate_with(
    find: Callable[[Iterable[tuple[Any, int]]], Iterator[tuple[int, Classification]]],
    model: Model,
    photos: Path,
    table: Path,
) -> LabelEvaluation:
    """Evaluate a model like `evaluate_labels`.

    Args:
        find: yields the results of photos that can be read, each with the number that it got with the photo.
        model, photos, table: as for `evaluate_labels`.
    """
    answers = model.answers
    if answers is None:
        raise ParameterError(
            f"labels: is for models of tags, numbers or points, and network {model.name!r} has classes: "
            "mpscnn.evaluate(model, folder) measures it"
        )
    kind = answers["kind"]
    labels = list(model.labels or map(str, range(model.network.outputs[0].shape[-1] or 0)))
    read = read_label_table(table, photos, kind, known=labels)
    if kind != "tags" and read.parts != answers[KINDS[kind]]:
        raise ParameterError(f"{table}: has the {KINDS[kind]} {read.parts}, the model {answers[KINDS[kind]]}")
    if not read.paths:
        raise ParameterError(f"{table}: has no labels: all cells beside the names of photos are empty")
    started = time.perf_counter()
    found, known, sizes = [], [], []
    for row, result in find(zip(read.paths, range(len(read.paths)), strict=True)):
        found.append(result.probabilities)
        known.append(row)
        if kind == "keypoints":  # rows of a cluster lack the size
            sizes.append(result.size or open_photo(read.paths[row]).size)
    if not found:
        raise ParameterError(f"{table}: none of its {len(read.paths)} photos can be read")
    values, truth, seconds = np.array(found), read.values[known], time.perf_counter() - started
    extents = None
    if kind == "keypoints":
        extents = np.array(sizes, np.float32)
        sides = np.tile(extents, len(labels) // 2)
        values, truth = np.asarray(values / sides, np.float32), np.asarray(truth / sides, np.float32)
    return evaluation_of_values(answers, labels, values, truth, seconds, extents)


def evaluation_of_values(
    answers: Mapping[str, Any],
    labels: Sequence[str],
    found: Values,
    true: Values,
    seconds: float,
    sizes: Values | None = None,
) -> LabelEvaluation:
    """Compare the numbers of a model with the truth, both (photos, columns) with NaN for labels that are not known.

    Points are in shares of the photos, whose (width, height) are `sizes`.
    """
    kind, columns = answers["kind"], zip(labels, found.T, true.T, strict=True)
    if sizes is not None:
        names = answers["names"]
        measures = (measure(found, true, sizes).T for measure in (distances, near_points))
        alike = similarities(found, true, sizes, names).T
        points = tuple(map(_point, names, *measures, alike))
        return LabelEvaluation(kind, points, len(true), max(seconds, 1e-9))
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


def _point(label: str, *measures: Values) -> PointFigures:
    known = ~np.isnan(measures[0])
    if not known.any():
        return PointFigures(label, 0, None, None, None)
    return PointFigures(label, int(known.sum()), *(float(one[known].mean()) for one in measures))
