"""The report of a training on photos: a confusion matrix, curves, and a page of the worst mistakes."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import path_name
from mpscnn._private.files import convert_write_errors, replace_atomically
from mpscnn.errors import ParameterError
from mpscnn.evaluation.classifier import Evaluation
from mpscnn.training.classifier import ClassifierTraining
from mpscnn.training.curves import Chart, charts_picture
from mpscnn.training.image_folder import ImageFolder
from mpscnn.training.recorded import Record, convergence, history_of

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_CONFUSION, _CURVES_FILE, _PAGE = REPORT_FILES = ("confusion.png", "curves.png", "mistakes.html")

_MAX_MISTAKES = 50
_THUMBNAIL = 200


class PhotoReport:
    """Base class of the reports of trainings on photos, with an evaluation and the epochs."""

    evaluation: Any
    records: tuple[Record, ...]

    @property
    def convergence(self) -> str:
        """A sentence that says whether more epochs would help; "" if there are too few epochs to say it."""
        return convergence(self.records)

    def _repr_html_(self) -> str:
        html: str = self.evaluation._repr_html_()
        return html


@dataclass(frozen=True, eq=False)
class TrainingReport(PhotoReport):
    """How well a trained classifier does on its validation photos.

    Args:
        evaluation: the accuracy, and the confusion matrix.
        records: the epochs of all phases.
        probabilities: (photos, classes), of the validation photos.
        photos: the validation photos.
        teacher_accuracy: the share of the validation photos that the teacher classifies correctly; None without one.
    """

    evaluation: Evaluation
    records: tuple[Record, ...]
    probabilities: NDArray[np.float32]
    photos: ImageFolder
    teacher_accuracy: float | None = None

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write confusion.png, curves.png and mistakes.html with the worst mistakes to a folder.

        Raises ParameterError if they cannot be written.
        """
        place = Path(path_name("folder", folder))
        confusion, curves = self.evaluation.draw(), curves_picture(self.records)
        page = _page(self).encode("utf-8", "backslashreplace")
        write_files(
            place,
            {
                _CONFUSION: lambda file: confusion.save(file, "PNG"),
                _CURVES_FILE: lambda file: curves.save(file, "PNG"),
                _PAGE: lambda file: file.write(page),
            },
        )

    def __repr__(self) -> str:
        return f"<TrainingReport: {self.evaluation.top1:.2%} right of {self.evaluation.images:,} photos>"


def write_files(folder: Path, files: Mapping[str, Callable[[BinaryIO], object]]) -> None:
    """Write files into a folder, which is made if needed. Raises ParameterError if they cannot be written."""
    with convert_write_errors(folder, ParameterError):
        folder.mkdir(parents=True, exist_ok=True)
    for name, write in files.items():
        with replace_atomically(folder / name, ParameterError) as file:
            write(file)


def report_of(trained: ClassifierTraining, seconds: float) -> TrainingReport:
    """Evaluate the best weights on the validation photos. `seconds` is the time of the training."""
    found, true = trained.predictions(), trained.validation.targets
    classes = len(trained.labels)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (true, found.argmax(1)), 1)
    ranked = np.argsort(-found, axis=1, kind="stable")[:, :5]
    in_first_five = int((ranked == true[:, None]).any(1).sum())
    evaluation = Evaluation(tuple(trained.labels), confusion, in_first_five, max(seconds, 1e-9))
    answers = trained.teacher_answers()
    taught = None if answers is None else float((answers.argmax(1) == true).mean())
    return TrainingReport(evaluation, tuple(trained.history), found, trained.validation, taught)


def _page(report: TrainingReport) -> str:
    from mpscnn.vision.visualize import html_picture, upright_picture

    found, true = report.probabilities, report.photos.targets
    labels, evaluation = report.evaluation.labels, report.evaluation
    wrong = np.flatnonzero(found.argmax(1) != true)
    # Sort mistakes by the probability of the right class, the lowest first.
    worst = wrong[np.argsort(found[wrong, true[wrong]], kind="stable")][:_MAX_MISTAKES]
    entries = []
    for index in worst.tolist():
        path = report.photos.paths[index]
        picture = upright_picture(path)
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        said, right = int(found[index].argmax()), int(true[index])
        text = (
            f"{labels[right]} ({found[index, right]:.1%}), "
            f"taken for {labels[said]} ({found[index, said]:.1%})"
        )
        entries.append(
            f"<figure>{html_picture(picture)}<figcaption>{html.escape(text)}<br>"
            f"<small>{html.escape(path)}</small></figcaption></figure>"
        )
    shown = f"the {len(worst)} worst of {len(wrong)}" if len(worst) < len(wrong) else f"{len(wrong)}"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Mistakes</title><style>'
        "body{font-family:sans-serif}figure{display:inline-block;vertical-align:top;width:220px;margin:8px;"
        "overflow-wrap:anywhere}</style></head><body>"
        f"<h1>{evaluation.top1:.2%} right of {evaluation.images:,} photos</h1><p>{report.convergence}</p>"
        f'<p><img src="{_CONFUSION}" alt="confusion matrix"> <img src="{_CURVES_FILE}" alt="curves"></p>'
        f"<h2>Mistakes: {shown}</h2>{''.join(entries)}</body></html>\n"
    )


def curves_picture(history: Sequence[Record]) -> PillowImage.Image:
    """Draw the losses above and the measures below, by epoch. A line marks the start of the second phase."""
    begin = sum(record.phase == history[0].phase for record in history)
    losses = {
        "training": [record.loss for record in history],
        "validation": [record.validation_loss for record in history],
    }
    top = max(max(values) for values in losses.values())
    measures = history_of(history).measure_charts(begin)
    return charts_picture([Chart("loss", losses, top, f"{top:.2f}", begin), *measures])
