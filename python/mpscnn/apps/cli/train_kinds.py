"""State the kinds of training on photos that `mpscnn train` has: what they train, and what they report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn._private.printable import quote_path
from mpscnn.apps.cli.named_function import loss_of_option, named_function
from mpscnn.apps.cli.output import table_width
from mpscnn.apps.cli.train_options import PHOTOS, SCENES, TrainOptions
from mpscnn.apps.train.label_report import LABEL_REPORT_FILES
from mpscnn.apps.train.photo_training import Backbone, FolderTraining, PhotoTraining
from mpscnn.apps.train.report import REPORT_FILES
from mpscnn.apps.train.scene_report import SCENE_REPORT_FILES, DetectorMeasures
from mpscnn.apps.train.scene_training import SceneData, SceneSource, ScenesTraining
from mpscnn.training.annotated_folders import annotations_in
from mpscnn.training.classifier import ClassifierOptions
from mpscnn.training.goals import LOSSES
from mpscnn.training.photo_views import Augmentation
from mpscnn.training.run_folder import RunChoices
from mpscnn.training.scenes.training import SceneOptions

if TYPE_CHECKING:
    from mpscnn.evaluation.classifier import Evaluation
    from mpscnn.evaluation.labels import LabelEvaluation
    from mpscnn.evaluation.segmenter import SegmenterEvaluation

_TRAINED_LAYERS, _SCENE_RATE = 7, 2e-3
#: A detector or segmenter with a lower score, 0 to 1, misses most objects of common photos.
_LOW = 0.5
_MORE = "This is low. More --epochs, all layers (--trained-layers left out), a larger --size and more photos help."
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Kind:
    """State what differs between the kinds of training on photos.

    Args:
        start: starts the training with a backbone and the folder for its state.
        report_files: the files of a report. The command names the last one.
        lines: returns lines about the results from a report's evaluation.
        command: the command that uses the result.
    """

    start: Callable[[Backbone, Path], FolderTraining]
    report_files: Sequence[str]
    lines: Callable[[Any], list[str]]
    command: str


def kind_of(folder: str | None, options: TrainOptions) -> Kind:
    """Return the kind of training that the options state. `folder` has the photos; None: the annotations name it."""
    choices = RunChoices(options.resume, options.restart, options.device, options.threads or "auto")
    loss = None if options.loss is None else loss_of_option(options.loss)
    if options.kind in ("detect", "segment"):
        return Kind(
            partial(
                ScenesTraining,
                SceneSource(folder, _labels(folder, options), options.validation),
                SceneData(
                    options.kind, options.size, options.architecture, loss=loss, teacher=options.teacher
                ),
                options=SceneOptions(
                    epochs=_chosen(options.epochs, SCENES.epochs),
                    batch_size=options.batch_size or SCENES.batch_size,
                    learning_rate=_chosen(options.learning_rate, _SCENE_RATE),
                    patience=options.patience or SCENES.patience,
                    seed=options.seed,
                    trained_layers=options.trained_layers,
                ),
                choices=choices,
            ),
            SCENE_REPORT_FILES[options.kind],
            _scene_lines,
            options.kind,
        )
    assert folder is not None
    transform = None if options.transform is None else named_function("--transform", options.transform)
    start = partial(
        PhotoTraining,
        Path(folder),
        options=ClassifierOptions(
            epochs=_chosen(options.epochs, PHOTOS.epochs),
            batch_size=options.batch_size or PHOTOS.batch_size,
            views=options.views,
            trained_layers=_chosen(options.trained_layers, _TRAINED_LAYERS),
            patience=options.patience or PHOTOS.patience,
            seed=options.seed,
            class_weight=options.class_weight,
            loss=loss or LOSSES[options.kind][0],
            task=options.kind,
            temperature=_chosen(options.temperature, ClassifierOptions.temperature),
            teacher_share=_chosen(options.teacher_share, ClassifierOptions.teacher_share),
        ),
        validation=options.validation,
        size=options.size,
        labels=options.labels,
        augment=Augmentation(rotation=options.rotation, mixup=options.mixup, cutmix=options.cutmix),
        transform=transform,
        teacher=options.teacher,
        choices=choices,
    )
    if options.kind != "classify":
        return Kind(start, LABEL_REPORT_FILES, _label_lines, "classify")
    return Kind(start, REPORT_FILES, _accuracy_lines, "classify")


def _chosen(value: _Value | None, default: _Value) -> _Value:
    return default if value is None else value


def _labels(folder: str | None, options: TrainOptions) -> str:
    """Return the place of the annotations or masks."""
    option = "--annotations" if options.kind == "detect" else "--masks"
    if not (labels := options.annotations if options.kind == "detect" else options.masks):
        found = annotations_in(Path(folder)) if folder else None
        here = "" if found is None else f", such as {option} {quote_path(found)}"
        raise typer.BadParameter(f"--task {options.kind} needs {option}{here}", param_hint=option)
    return labels


def _accuracy_lines(evaluation: Evaluation) -> list[str]:
    """Return lines with the accuracy of each class and the most frequent confusions."""
    counts, labels = evaluation.confusion, evaluation.labels
    widest = max(len(label) for label in labels)
    rows = [
        f"  {label:<{widest}}  {_right(row, i)}"
        for i, (label, row) in enumerate(zip(labels, counts, strict=True))
    ]
    mistakes = [f"  {true} taken for {found}: {count}" for true, found, count in evaluation.mistakes(5)]
    return [
        f"validation: {evaluation.top1:.2%} right of {evaluation.images:,}, in {evaluation.seconds:.0f} s",
        *rows,
        *mistakes,
    ]


def _label_lines(evaluation: LabelEvaluation) -> list[str]:
    """Return lines with the measures of each tag or number."""
    return [
        f"validation: {evaluation.summary()}, {evaluation.images:,} photos, in {evaluation.seconds:.0f} s",
        *evaluation.table(width=table_width()).splitlines(),
    ]


def _scene_lines(evaluation: DetectorMeasures | SegmenterEvaluation) -> list[str]:
    """Return lines with the measures of each class, and what helps if they are low."""
    what = repr(evaluation)[1:-1].partition(": ")[2]
    score = evaluation.map50 if isinstance(evaluation, DetectorMeasures) else evaluation.mean_iou
    return [
        f"validation: {what}, {evaluation.images:,} photos, in {evaluation.seconds:.0f} s",
        *evaluation.table(width=table_width()).splitlines(),
        *[_MORE] * (score < _LOW),
    ]


def _right(row: NDArray[np.int64], index: int) -> str:
    """Return the share of right answers for a class, from its row of the confusion matrix."""
    total = row.sum()
    return f"{row[index] / total:7.2%}  ({row[index]} of {total})" if total else "no photo for validation"
