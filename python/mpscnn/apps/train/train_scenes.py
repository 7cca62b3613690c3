"""Train a detector or a segmenter with one call: `mpscnn.train_detector` and `mpscnn.train_segmenter`."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Literal

from mpscnn._private.arguments import path_name
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.apps.train.complete_training import Results, TrainedModel, complete_training
from mpscnn.apps.train.photo_training import photo_folder
from mpscnn.apps.train.scene_report import SCENE_REPORT_FILES
from mpscnn.apps.train.scene_training import SceneData, SceneSource, ScenesTraining
from mpscnn.apps.train.train_classifier import waiting_epochs
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.training.early_stopping import EarlyStopping
from mpscnn.training.own_loss import Loss
from mpscnn.training.run_folder import RunChoices
from mpscnn.training.scenes.training import SceneOptions
from mpscnn.training.scenes.views import SceneAugmentation


@accept_foreign_arguments
def train_detector(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str] | Network | Model | None = None,
    *,
    annotations: str | os.PathLike[str],
    validation: float | str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    epochs: int = 40,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    trained_layers: int | None = None,
    augment: bool | SceneAugmentation = True,
    loss: Loss | None = None,
    teacher: str | os.PathLike[str] | Network | Model | None = None,
    early_stopping: EarlyStopping | int | None = 10,
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
    """Train a detector on photos with labelled objects, and return it with its history and a report.

    A classifier becomes the backbone of an SSDLite; a detector is trained further (docs/training.md). All layers learn,
    with batch normalizations that are merged into the weights at the end. The result has the weights of the epoch with
    the best mAP at an IoU of 0.5 on the photos for validation.

    Args:
        data: the folder with the photos.
        model: the network to start from: a name, such as "mobilenet_v2", a file, a `Network` or a `Model`. None:
            the bundled classifier, which needs no download. A `Network` without weights starts from random ones.
        annotations: a .json file of COCO, Create ML, VIA or Label Studio, a folder of .xml files of Pascal VOC, a
            folder of .txt files or a data.yaml of YOLO, a folder of .json files of labelme, an .xml file of CVAT, or a
            .csv file.
        validation: the share of photos for validation, which do not train, or annotations of other photos in `data`.
            None: 0.2.
        size: (height, width) of the network's input, or one number. None: 320, or 160 on a classifier of small photos.
        epochs: the largest number of epochs.
        batch_size: the number of photos in a step.
        learning_rate: the highest learning rate of Adam.
        trained_layers: of the given network, only this number of the last layers with weights are trained, which is
            faster; None: all are.
        augment: train on other random views of the photos in each epoch: True, False, or a
            `mpscnn.SceneAugmentation`.
        loss: None, or the parameters of the loss as a mapping such as {"kind": "multibox", "negative_ratio": 2}.
        teacher: a trained detector: a name, a file, a `Network` or a `Model`. Objects that it finds with a score of at
            least 0.5 are learned like labelled ones, unless a labelled box overlaps them by half. Photos for validation
            stay as they are.
        early_stopping: the number of epochs without improvement after which the training ends, also as an
            `EarlyStopping`; None: it does not end early. A higher mAP is an improvement, and so is a lower validation
            loss at the same mAP, as in the first epochs, whose mAP is 0.
        callbacks: as for `Trainer.fit`. `Epoch.validation_accuracy` is the mAP at an IoU of 0.5.
        output: write the model to this file (.safetensors). FILE.run keeps the state of the training for `resume`.
            After Ctrl-C the file has the best network so far.
        report: write report.html, curves.png, predictions.png, classes.csv, and for a detector confusion.png and
            precision_recall.png to this folder.
        resume: continue a stopped training with the same photos, options and `output`.
        restart: delete the state of a stopped training with this `output`.
        seed: the random seed of new weights, order and views.
        device, threads: as for `Trainer`.
        progress: None: a line on stderr for each epoch, and a bar in a terminal or a notebook. False: neither.
            True: both, everywhere.

    Raises:
        ParameterError: annotations are missing or wrong (the message names the file and the entry or line), an
            option is out of its range, or a photo for validation also trains.
        ImageError: a photo cannot be read; the message names it.
        UnsupportedError: the model is neither a classifier nor a detector that can be trained.
        StateError: a loss is not finite, or another process trains to the same output.
        WeightsError: the model or the output cannot be read or written.
    """
    is_share = validation is None or isinstance(validation, (int, float))
    options = SceneOptions(
        epochs, batch_size, learning_rate, waiting_epochs(early_stopping), seed, trained_layers
    )
    source = SceneSource(
        photo_folder(data),
        annotations,
        validation if is_share else None,  # type: ignore[arg-type]
        None if is_share else path_name("validation", validation, "a share is a number such as 0.2"),
    )
    return _trained(
        source,
        SceneData("detect", size, augment=augment, loss=loss, teacher=teacher),
        model,
        options,
        Results(callbacks, output, report, SCENE_REPORT_FILES["detect"], progress),
        RunChoices(resume, restart, device, threads),
    )


@accept_foreign_arguments
def train_segmenter(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str] | Network | Model | None = None,
    *,
    masks: str | os.PathLike[str],
    architecture: Literal["lraspp", "deeplab"] = "lraspp",
    validation: float | None = None,
    size: int | tuple[int, int] | None = None,
    epochs: int = 40,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    trained_layers: int | None = None,
    augment: bool | SceneAugmentation = True,
    loss: Loss | None = None,
    early_stopping: EarlyStopping | int | None = 10,
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
    """Train a segmenter on photos with masks, and return it with its history and a report.

    A classifier becomes the backbone of an LR-ASPP or a DeepLabv3; a segmenter is trained further (docs/training.md).
    The result has the weights of the epoch with the best mean IoU on the photos for validation.

    Args:
        data: the folder with the photos.
        model: the network to start from, as for `train_detector`.
        masks: a folder with a PNG file for each photo, of the same name, whose pixels are class numbers. 255 is
            ignored. The names of the classes are the lines of a classes.txt in this folder or next to it. Or
            annotations of objects with polygons or masks, as for `train_detector`; class 0 is then the background.
        architecture: what a classifier becomes: "lraspp" or "deeplab".
        validation: the share of photos for validation, which do not train. None: 0.2.
        size, epochs, batch_size, learning_rate, trained_layers, augment, early_stopping: as for `train_detector`.
        loss: "softmax_cross_entropy" (also None), "focal", "dice", "dice_cross_entropy", their sum, a mapping with
            parameters (docs/training.md), or a loss of yours of (outputs, targets, weights) as for `Trainer`. Ignored
            pixels have the weight 0.
        output, report, resume, restart, seed, device, threads, progress: as for `train_detector`.
        callbacks: as for `Trainer.fit`. `Epoch.validation_accuracy` is the mean IoU.

    Raises:
        ParameterError: a mask is missing, has another size than its photo or a class without a name (the message names
            it), an option is out of its range, or a photo for validation also trains.
        ImageError: a photo or a mask cannot be read; the message names it.
        UnsupportedError: the model is neither a classifier nor a segmenter that can be trained.
        StateError: a loss is not finite, or another process trains to the same output.
        WeightsError: the model or the output cannot be read or written.
    """
    options = SceneOptions(
        epochs, batch_size, learning_rate, waiting_epochs(early_stopping), seed, trained_layers
    )
    return _trained(
        SceneSource(photo_folder(data), masks, validation),
        SceneData("segment", size, architecture, augment, loss),
        model,
        options,
        Results(callbacks, output, report, SCENE_REPORT_FILES["segment"], progress),
        RunChoices(resume, restart, device, threads),
    )


def _trained(
    source: SceneSource,
    data: SceneData,
    model: str | os.PathLike[str] | Network | Model | None,
    options: SceneOptions,
    results: Results,
    choices: RunChoices,
) -> TrainedModel:
    start = partial(ScenesTraining, source, data, options=options, choices=choices)
    return complete_training(start, model, results, choices)
