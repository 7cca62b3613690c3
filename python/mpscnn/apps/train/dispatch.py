"""Train a model on a folder of photos with one call: `mpscnn.train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mpscnn._private.other_arguments import accept_foreign_arguments, translate_options
from mpscnn.apps.train.complete_training import TrainedModel
from mpscnn.errors import ParameterError
from mpscnn.training.annotated_folders import is_annotations

if TYPE_CHECKING:
    from mpscnn.graph.network import Network
    from mpscnn.model import Model

TaskName = Literal["classify", "tags", "number", "keypoints", "detect", "segment"]
#: The names of `Model.task`, with those of tasks.
_OF_MODELS: dict[str, TaskName] = {
    "classification": "classify",
    "detection": "detect",
    "segmentation": "segment",
}
#: The argument with the labels of the photos, for tasks that need it.
_LABELS: dict[TaskName, str] = {"detect": "annotations", "segment": "masks"}


@accept_foreign_arguments
def train(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str] | Network | Model | None = None,
    *,
    task: TaskName | None = None,
    **options: Any,
) -> TrainedModel:
    """Train a model on photos, and return it with its `history` and a `report` on the photos for validation.

    This does what `mpscnn train` does in a shell.

    Args:
        data: a folder with photos. For "classify" it has a folder of photos for each class.
        model: the pretrained model to start from: a name, a file, a `Network` or a `Model`; None: the task's default.
        task: "classify" trains a classifier, "detect" a detector of objects, and "segment" a segmenter of pixels; the
            names of `Model.task` mean the same. With `labels="labels.csv"`, "tags" trains on any number of tags for a
            photo, "number" on numbers, and "keypoints" on the places of points. None: "detect" with `annotations`,
            "segment" with `masks`, otherwise "classify".
        options: the options of the task's function: `mpscnn.train_classifier`, `mpscnn.train_detector` with
            `annotations`, or `mpscnn.train_segmenter` with `masks`.

    Raises the errors of that function. ParameterError: there is no such task.
    """
    if isinstance(model, (str, os.PathLike)) and is_annotations(Path(model)):
        raise ParameterError(
            f"train: {os.fspath(model)} has annotations and is not a model; annotations={os.fspath(model)!r} trains a "
            "detector on them"
        )
    options = translate_options("train", options, _LABELS.values())
    options = {
        name: value for name, value in options.items() if name not in _LABELS.values() or value is not None
    }
    task = _OF_MODELS.get(str(task), task)
    if task is None:
        labelled = [name for name, labels in _LABELS.items() if labels in options]
        task = labelled[0] if labelled else "classify"
    if task not in get_args(TaskName):
        known = ", ".join(map(repr, get_args(TaskName)))
        raise ParameterError(f"train: task must be one of {known}, got {task!r}")
    for name, labels in _LABELS.items():
        if task == name and labels not in options:
            raise ParameterError(f"train: task={task!r} needs {labels}=, the place of the {labels}")
        if task != name and labels in options:
            own = _LABELS.get(task)
            lead = f"; {own}= takes the place of its labels" if own is not None and own not in options else ""
            raise ParameterError(f"train: {labels}= is for task={name!r}, got task={task!r}{lead}")
    if task not in _LABELS:
        from mpscnn.apps.train.train_classifier import train_classifier

        return train_classifier(data, model, **{"task": task, **options})
    from mpscnn.apps.train.train_scenes import train_detector, train_segmenter

    return (train_detector if task == "detect" else train_segmenter)(data, model, **options)
