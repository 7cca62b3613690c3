"""The report of a training on a table of labels: the measures of each label, and curves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mpscnn._private.arguments import path_name
from mpscnn.apps.train.report import PhotoReport, curves_picture, write_files
from mpscnn.evaluation.labels import LabelEvaluation, evaluation_of_values
from mpscnn.training.classifier import ClassifierTraining
from mpscnn.training.recorded import Record

LABEL_REPORT_FILES = ("curves.png", "labels.csv")


@dataclass(frozen=True, eq=False)
class LabelReport(PhotoReport):
    """How well a network for tags, numbers or points does on its photos for validation.

    Args:
        evaluation: the measures of each label.
        records: the epochs of all phases.
    """

    evaluation: LabelEvaluation
    records: tuple[Record, ...]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write curves.png, and labels.csv with the measures of each label, to a folder.

        Raises ParameterError if they cannot be written.
        """
        place = Path(path_name("folder", folder))
        curves, labels = curves_picture(self.records), self.evaluation.to_csv().encode()
        curves_file, labels_file = LABEL_REPORT_FILES
        write_files(
            place,
            {
                curves_file: lambda file: curves.save(file, "PNG"),
                labels_file: lambda file: file.write(labels),
            },
        )

    def __repr__(self) -> str:
        return f"<LabelReport: {repr(self.evaluation)[1:-1]}>"


def label_report(trained: ClassifierTraining, seconds: float) -> LabelReport:
    """Evaluate the best weights on the validation photos. `seconds` is the time of the training."""
    found = trained.predictions()
    goal, true = trained.goal, trained.validation.targets
    assert goal is not None
    evaluation = evaluation_of_values(
        goal.answers(found, true),
        trained.labels,
        found,
        true,
        seconds,
        getattr(trained.validation, "sizes", None),
    )
    return LabelReport(evaluation, tuple(trained.history))
