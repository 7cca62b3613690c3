"""Train a model on a folder of photos with one call: `mpscnn.train`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, get_args

from mpscnn.apps.train.trained_model import TrainedModel
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network
    from mpscnn.model import Model

__all__ = ["train"]

TaskName = Literal["classify"]


def train(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str] | Network | Model | None = None,
    *,
    task: TaskName = "classify",
    **options: Any,
) -> TrainedModel:
    """Train a model on photos, and return it with its `history` and a `report` on the photos for validation.

    This does what `mpscnn train` does in a shell.

    Args:
        data: for "classify", a folder with a folder of photos for each class.
        model: the pretrained model to start from: a name, a file, a `Network` or a `Model`; None: the task's default.
        task: "classify" trains a classifier.
        options: the options of the task's function: `mpscnn.train_classifier`.

    Raises the errors of that function. ParameterError: there is no such task.
    """
    if task not in get_args(TaskName):
        known = ", ".join(map(repr, get_args(TaskName)))
        raise ParameterError(f"train: task must be one of {known}, got {task!r}")
    from mpscnn.apps.train.train_classifier import train_classifier

    return train_classifier(data, model, **options)
