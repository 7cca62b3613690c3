"""The report of the training of a detector or a segmenter: the measures of each class, curves, and pictures."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mpscnn._private.arguments import path_name
from mpscnn.apps.train.example_pictures import example_pictures
from mpscnn.apps.train.report import PhotoReport, curves_picture, write_files
from mpscnn.evaluation.detector import precision_text
from mpscnn.evaluation.object_report import ClassPrecisions, ObjectReport
from mpscnn.evaluation.segmenter import SegmenterEvaluation
from mpscnn.training.recorded import Record
from mpscnn.training.scenes.object_matches import MeasuredObjects, ObjectMatches
from mpscnn.training.scenes.training import SceneTraining

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_CURVES, _PREDICTIONS, _CLASSES, _PAGE = "curves.png", "predictions.png", "classes.csv", "report.html"
_CONFUSION, _PRECISION = "confusion.png", "precision_recall.png"
#: The files of a report by the task.
SCENE_REPORT_FILES: dict[Literal["detect", "segment"], tuple[str, ...]] = {
    "detect": (_CURVES, _PREDICTIONS, _CONFUSION, _PRECISION, _CLASSES, _PAGE),
    "segment": (_CURVES, _PREDICTIONS, _CLASSES, _PAGE),
}


@dataclass(frozen=True)
class DetectorMeasures(ObjectReport):
    """A detector's results on its photos for validation by COCO's measures, 0 to 1."""

    images: int
    map: float
    """The mean over classes, and over thresholds of the intersection over union from 0.5 to 0.95."""
    map50: float
    """The mean over classes at an intersection over union of 0.5."""
    by_class: tuple[ClassPrecisions, ...]
    seconds: float
    """The seconds of the whole training."""
    matches: ObjectMatches = field(default_factory=ObjectMatches, compare=False, repr=False)
    """The found and the true objects, compared: the confusion matrix and the curves."""

    def _entries(self) -> Sequence[ClassPrecisions]:
        return self.by_class

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        figures = {name: getattr(self, name) for name in ("images", "map", "map50", "seconds")}
        return {**figures, **self._figures()}

    def _sentences(self) -> list[str]:
        return [repr(self)[1:-1]]

    def __repr__(self) -> str:
        return f"<DetectorMeasures of {self.images:,} images: {precision_text(self.map, self.map50)}>"


@dataclass(frozen=True, eq=False)
class SceneReport(PhotoReport):
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
        """Write curves.png, predictions.png, classes.csv and report.html to a folder.

        predictions.png has the first photos for validation, with the truth on the left and the predictions on the
        right. A detector also gets confusion.png and precision_recall.png. Raises ParameterError if a file cannot be
        written.
        """
        place = Path(path_name("folder", folder))
        pictures = {_CURVES: curves_picture(self.records), _PREDICTIONS: self.draw_predictions()}
        if isinstance(self.evaluation, DetectorMeasures):
            pictures |= {_CONFUSION: self.evaluation.draw(), _PRECISION: self.evaluation.draw_curves()}
        texts = {_CLASSES: self.evaluation.to_csv(), _PAGE: self._page()}
        writers: dict[str, Callable[[Any], object]] = {
            **{name: partial(_save_picture, picture) for name, picture in pictures.items()},
            **{name: partial(_save_text, text) for name, text in texts.items()},
        }
        write_files(place, writers)

    def _page(self) -> str:
        """Return the text of report.html, which shows pictures of the folder."""
        shown = "".join(f'<p><img src="{name}" alt="{name}"></p>' for name in (_CURVES, _PREDICTIONS))
        return (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Report of a training</title>'
            "<style>body{font-family:sans-serif}</style></head>"
            f"<body><p>{html.escape(self.convergence)}</p>{self._repr_html_()}{shown}</body></html>\n"
        )

    def __repr__(self) -> str:
        return f"<SceneReport: {repr(self.evaluation)[1:-1]}>"


def _save_picture(picture: PillowImage.Image, file: Any) -> None:
    picture.save(file, "PNG")


def _save_text(text: str, file: Any) -> None:
    file.write(text.encode("utf-8", "backslashreplace"))


def scene_report(training: SceneTraining, seconds: float) -> SceneReport:
    """Measure the best weights on the photos for validation. `seconds` is the time of the training."""
    measured: Any = training.measured()
    draw = partial(example_pictures, training)
    images, labels, seconds = len(training.task.validation), training.labels, max(seconds, 1e-9)
    if not isinstance(measured, MeasuredObjects):
        unseen = np.zeros((len(labels), 1), np.int64)  # stretched photos have no pixels that are not seen
        confusion = np.concatenate([measured, unseen], 1)
        evaluation = SegmenterEvaluation(tuple(labels), confusion, images, seconds)
        return SceneReport(evaluation, tuple(training.history), draw)
    matches, precision = measured.matches(labels), measured.precision
    by_class = tuple(
        ClassPrecisions.of(float(row.mean()), float(row[0]), matched)
        for row, matched in zip(precision.by_class(), matches.classes, strict=True)
    )
    measures = DetectorMeasures(images, precision.map, precision.map50, by_class, seconds, matches)
    return SceneReport(measures, tuple(training.history), draw)
