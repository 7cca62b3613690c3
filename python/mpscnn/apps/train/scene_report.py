"""The report of the training of a detector or a segmenter: the measures of each class, curves, and pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn._private.report import Column, Report
from mpscnn.apps.train.example_pictures import example_pictures
from mpscnn.apps.train.report import curves_picture, write_files
from mpscnn.evaluation.detector import precision_text
from mpscnn.evaluation.segmenter import SegmenterEvaluation
from mpscnn.training.recorded import Record, convergence
from mpscnn.training.scenes.average_precision import AveragePrecision
from mpscnn.training.scenes.training import SceneTraining

if TYPE_CHECKING:
    from PIL import Image as PillowImage

SCENE_REPORT_FILES = ("curves.png", "predictions.png", "classes.csv")


@dataclass(frozen=True)
class ClassPrecisions:
    """A class of objects and its average precisions, 0 to 1; NaN if no photo has such an object."""

    label: str
    average_precision: float
    at_half: float


@dataclass(frozen=True)
class DetectorMeasures(Report):
    """A detector's results on its photos for validation by COCO's measures, 0 to 1."""

    images: int
    map: float
    """The mean over classes, and over thresholds of the intersection over union from 0.5 to 0.95."""
    map50: float
    """The mean over classes at an intersection over union of 0.5."""
    by_class: tuple[ClassPrecisions, ...]
    seconds: float
    """The seconds of the whole training."""

    def _entries(self) -> Sequence[ClassPrecisions]:
        return self.by_class

    def _columns(self) -> tuple[Column, ...]:
        def shown(value: float) -> str:
            return "no objects" if math.isnan(value) else f"{value:.3f}"

        return (
            Column("class", lambda one: one.label),
            Column("AP", lambda one: shown(one.average_precision), right=True),
            Column("AP at 0.5", lambda one: shown(one.at_half), right=True),
        )

    def _sentences(self) -> list[str]:
        return [repr(self)[1:-1]]

    def __repr__(self) -> str:
        return f"<DetectorMeasures of {self.images:,} images: {precision_text(self.map, self.map50)}>"


@dataclass(frozen=True, eq=False)
class SceneReport:
    """How well a trained detector or segmenter does on its photos for validation.

    Args:
        evaluation: `DetectorMeasures` for a detector, `SegmenterEvaluation` for a segmenter. The pixels of a segmenter
            are the points of its output.
        records: the epochs.
        draw_predictions: draws the first photos for validation, with the truth on the left and the predictions on the
            right.
    """

    evaluation: DetectorMeasures | SegmenterEvaluation
    records: tuple[Record, ...]
    draw_predictions: Callable[[], PillowImage.Image]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write curves.png, predictions.png and classes.csv to a folder.

        predictions.png has the first photos for validation, with the truth on the left and the predictions on the
        right. Raises ParameterError if a file cannot be written.
        """
        place = Path(path_name("folder", folder))
        curves, classes = curves_picture(self.records), self.evaluation.to_csv().encode()
        predictions = self.draw_predictions()
        writers: list[Any] = [
            lambda file: curves.save(file, "PNG"),
            lambda file: predictions.save(file, "PNG"),
            lambda file: file.write(classes),
        ]
        write_files(place, dict(zip(SCENE_REPORT_FILES, writers, strict=True)))

    @property
    def convergence(self) -> str:
        """A sentence that says whether more epochs would help; "" if there are too few epochs to say it."""
        return convergence(self.records)

    def __repr__(self) -> str:
        return f"<SceneReport: {repr(self.evaluation)[1:-1]}>"

    def _repr_html_(self) -> str:
        return self.evaluation._repr_html_()


def scene_report(training: SceneTraining, seconds: float) -> SceneReport:
    """Measure the best weights on the photos for validation. `seconds` is the time of the training."""
    measured: Any = training.measured()
    draw = partial(example_pictures, training)
    images, labels, seconds = len(training.task.validation), training.labels, max(seconds, 1e-9)
    if not isinstance(measured, AveragePrecision):
        unseen = np.zeros((len(labels), 1), np.int64)  # stretched photos have no pixels that are not seen
        confusion = np.concatenate([measured, unseen], 1)
        evaluation = SegmenterEvaluation(tuple(labels), confusion, images, seconds)
        return SceneReport(evaluation, tuple(training.history), draw)
    by_class = tuple(
        ClassPrecisions(label, float(row.mean()), float(row[0]))
        for label, row in zip(labels, measured.by_class(), strict=True)
    )
    measures = DetectorMeasures(images, measured.map, measured.map50, by_class, seconds)
    return SceneReport(measures, tuple(training.history), draw)
