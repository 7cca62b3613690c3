"""Train a classifier on folders of photos with one call: `mpscnn.train_classifier`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mpscnn._private.arguments import path_name
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.apps.train.complete_training import Results, TrainedModel, complete_training
from mpscnn.apps.train.label_report import LABEL_REPORT_FILES
from mpscnn.apps.train.photo_training import PhotoTraining, photo_folder
from mpscnn.apps.train.report import REPORT_FILES
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.training.classifier import ClassifierOptions
from mpscnn.training.early_stopping import EarlyStopping
from mpscnn.training.fit_data import ClassWeight
from mpscnn.training.goals import LOSSES
from mpscnn.training.own_loss import Loss
from mpscnn.training.photo_views import Augmentation, chosen_augmentation
from mpscnn.training.run_folder import RunChoices


@accept_foreign_arguments
def train_classifier(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str] | Network | Model | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    epochs: int = 15,
    batch_size: int = 32,
    validation: float | None = None,
    labels: str | os.PathLike[str] | None = None,
    task: Literal["classify", "tags", "number", "keypoints"] = "classify",
    class_weight: ClassWeight = None,
    loss: Loss | None = None,
    early_stopping: EarlyStopping | int | None = 5,
    augment: bool | Augmentation = True,
    transform: Callable[[Any], Any] | None = None,
    views: int = 4,
    trained_layers: int = 7,
    teacher: str | os.PathLike[str] | Network | Model | None = None,
    temperature: float | None = None,
    teacher_share: float | None = None,
    callbacks: Any = (),
    output: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    resume: bool = False,
    restart: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | Literal["auto"] = "auto",
    progress: bool | None = None,
) -> TrainedModel:
    """Train a classifier on photos, and return it with its history and a report on the photos for validation.

    At first a new last layer is trained on the features of the photos, then the last blocks of the network
    (docs/training.md). The result has the weights of the epoch with the best validation accuracy.

    Args:
        data: a folder with a folder of photos for each class, named like the class. Or the folder of a data set that is
            split into train, val (or valid, validation) and test, each with the folders of the classes; test is unused.
        model: a pretrained classifier: a name, a file, a `Network` or a `Model`. None: the bundled one, which needs
            no download. "mobilenet_v2" is larger, and usually gives better results.
        size: (height, width) of the network's input, or one number; None: that of `model`. A smaller input is faster, a
            larger one shows more of small things.
        epochs: the largest number of epochs for the last blocks; 0: only the last layer is trained.
        batch_size: the batch size for the last blocks.
        validation: the share of each class's photos for validation, which do not train. None: 0.2, or the photos of the
            data set's folder val.
        labels: a CSV file with the labels of the photos in `data`, for the other tasks than "classify"
            (docs/training.md, "Tags, numbers and points").
        task: "classify": one class for each photo. "tags": any number of tags, each with a probability and a threshold.
            "number": numbers such as a weight. "keypoints": the places of points.
        class_weight: "balanced" for rare classes to count as much as frequent ones, or a mapping from labels to the
            weights of their losses; None: all photos count the same.
        loss: "softmax_cross_entropy", "focal", a mapping with parameters (docs/training.md), or a loss of yours as for
            `Trainer`, which gets probabilities. With `class_weight` it also gets weights. For tags:
            "sigmoid_cross_entropy" or "sigmoid_focal"; for numbers and points: "mean_squared_error",
            "mean_absolute_error" or "huber". A loss of yours then gets logits or scaled numbers, and weights, which are
            0 for labels that are not known. None: the first one.
        early_stopping: the number of epochs without improvement after which each phase ends, also as an
            `EarlyStopping`; None: it does not end early.
        augment, transform: as for `ImageFolder`: how the variants of photos differ, such as
            `mpscnn.Augmentation(rotation=15, mixup=0.2)`.
        views: the number of variants of each photo that are trained on.
        trained_layers: the last blocks have at least this many layers with weights; 0: only the last layer is trained.
        teacher: a trained classifier whose answers also train the network (docs/training.md): a name, a file, a
            `Network` or a `Model` that knows all classes of the photos by their names. It gets the same views of the
            photos with its own preprocessing.
        temperature: softens the probabilities of the teacher and of the network, 1 to 100; None: 4.
        teacher_share: the share of the teacher's answers in the loss, 0 to 1; None: 0.9. The rest is that of the
            labels.
        callbacks: as for `Trainer.fit`. The epochs are counted through both phases.
        output: write the model to this file (.safetensors). FILE.run keeps the state of the training for `resume`.
            After Ctrl-C the file has the best network so far.
        report: write confusion.png, curves.png and mistakes.html to this folder.
        resume: continue a stopped training with the same photos, options and `output`.
        restart: delete the state of a stopped training with this `output`.
        seed: the random seed of weights, order and variants.
        device, threads: as for `Trainer`.
        progress: None: a line on stderr for each epoch, and a bar in a terminal or a notebook. False: neither.
            True: both, everywhere.

    Raises:
        ImageError: the folder has no classes, or a photo cannot be read; the message names it.
        ParameterError: an option is out of its range or has another kind, or a photo for validation also trains.
        UnsupportedError: the model is not a classifier of photos.
        StateError: a loss is not finite, or another process trains to the same output.
        WeightsError: the model or the output cannot be read or written.
    """
    chosen_augmentation(Augmentation, augment)
    require_labels(task, labels)
    teaching = {
        name: value
        for name, value in {"temperature": temperature, "teacher_share": teacher_share}.items()
        if value is not None
    }
    if teaching and teacher is None:
        raise ParameterError(f"{' and '.join(teaching)}: only with a teacher=")
    options = ClassifierOptions(
        epochs=epochs,
        batch_size=batch_size,
        views=views,
        trained_layers=trained_layers,
        patience=waiting_epochs(early_stopping),
        seed=seed,
        class_weight=class_weight,
        loss=LOSSES[task][0] if loss is None else loss,
        task=task,
        **teaching,
    )
    choices = RunChoices(resume, restart, device, threads)

    start = partial(
        PhotoTraining,
        photo_folder(data),
        options=options,
        validation=validation,
        size=size,
        labels=None if labels is None else Path(path_name("labels", labels)),
        augment=augment,
        transform=transform,
        choices=choices,
        teacher=teacher,
    )
    files = REPORT_FILES if task == "classify" else LABEL_REPORT_FILES
    return complete_training(start, model, Results(callbacks, output, report, files, progress), choices)


def require_labels(task: object, labels: object) -> None:
    """Raise ParameterError for an unknown task, a table without a task that needs it, or such a task without one."""
    if task not in LOSSES:
        raise ParameterError(f"task must be one of {', '.join(map(repr, LOSSES))}, got {task!r}")
    if (task == "classify") != (labels is None):
        others = " or ".join(repr(one) for one in LOSSES if one != "classify")
        raise ParameterError(
            f"labels= is for task={others}, got task={task!r}"
            if labels is not None
            else f"task={task!r} needs labels=, a CSV file with the labels of the photos"
        )


def waiting_epochs(early_stopping: EarlyStopping | int | None) -> int | None:
    """Return the number of epochs without improvement after which a phase ends; None if it does not end early."""
    if not isinstance(early_stopping, EarlyStopping):
        return early_stopping
    if early_stopping not in (
        EarlyStopping(early_stopping.patience),
        EarlyStopping(early_stopping.patience, "validation_accuracy"),
    ):
        raise ParameterError(
            "early_stopping: mpscnn.train always watches 'validation_accuracy' (the mAP of a detector, the mean IoU of "
            f"a segmenter) and keeps the best weights; give a number of epochs, such as 5, instead of {early_stopping}"
        )
    return early_stopping.patience
