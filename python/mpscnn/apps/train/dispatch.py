"""Train a model on a folder of photos with one call: `mpscnn.train`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, get_args

from mpscnn.apps.train.complete_training import TrainedModel
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network
    from mpscnn.model import Model

__all__ = ["train"]

TaskName = Literal["classify", "detect", "segment"]


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
        data: a folder with photos. For "classify" it has a folder of photos for each class.
        model: the pretrained model to start from: a name, a file, a `Network` or a `Model`; None: the task's default.
        task: "classify" trains a classifier, "detect" a detector of objects, and "segment" a segmenter of pixels.
        options: the options of the task's function: `mpscnn.train_classifier`, `mpscnn.train_detector` with
            `annotations`, or `mpscnn.train_segmenter` with `masks`.

    Raises the errors of that function. ParameterError: there is no such task.
    """
    if task not in get_args(TaskName):
        known = ", ".join(map(repr, get_args(TaskName)))
        raise ParameterError(f"train: task must be one of {known}, got {task!r}")
    if task == "classify":
        from mpscnn.apps.train.train_classifier import train_classifier

        return train_classifier(data, model, **options)
    from mpscnn.apps.train.train_scenes import train_detector, train_segmenter

    needed = {"detect": "annotations", "segment": "masks"}[task]
    if needed not in options:
        raise ParameterError(f"train: task={task!r} needs {needed}=, the place of the {needed}")
    if task == "detect":
        return train_detector(data, model, **options)
    return train_segmenter(data, model, **options)
