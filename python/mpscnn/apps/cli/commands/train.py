"""The command `mpscnn train`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mpscnn._private.printable import quote_path
from mpscnn.apps.cli.arguments import AUTO_DEVICE, DeviceOption, ThreadsOption
from mpscnn.apps.cli.output import hint, show, warn
from mpscnn.apps.cli.sizes import parse_size
from mpscnn.apps.train.output_lock import lock_output
from mpscnn.errors import ParameterError
from mpscnn.training.history import Epoch

_DIGIT_EPOCHS, _PHOTO_EPOCHS, _SCENE_EPOCHS = 10, 15, 40
_DIGIT_BATCH, _PHOTO_BATCH, _SCENE_BATCH = 64, 32, 16
_TRAINED_LAYERS, _PHOTO_PATIENCE, _SCENE_PATIENCE, _SCENE_RATE = 7, 5, 10, 2e-3
_MAX_SEED = 2**63 - 1  # the largest seed of `mpscnn.Trainer`
_INFORMATION = {
    "license": "Apache-2.0",
    "source": "mpscnn train --digits; trained on MNIST (LeCun, Cortes, Burges 1998)",
}


#: The kinds of training.
_CLASSIFY, _DETECT, _SEGMENT, _DIGITS = "--task classify", "--task detect", "--task segment", "--digits"
_SCENES = (_DETECT, _SEGMENT)
_PHOTOS = (_CLASSIFY, *_SCENES)
#: Options that only some kinds of training have, each with these kinds.
_KINDS = {
    "task": _PHOTOS,
    "annotations": (_DETECT,),
    "masks": (_SEGMENT,),
    "architecture": (_SEGMENT,),
    "size": _SCENES,
    "learning_rate": _SCENES,
    "report": _PHOTOS,
    "resume": _PHOTOS,
    "restart": _PHOTOS,
    "validation": _PHOTOS,
    "trained_layers": _PHOTOS,
    "views": (_CLASSIFY,),
    "rotation": (_CLASSIFY,),
    "mixup": (_CLASSIFY,),
    "cutmix": (_CLASSIFY,),
    "patience": _PHOTOS,
    "class_weight": (_CLASSIFY,),
    "transform": (_CLASSIFY,),
    "loss": (_CLASSIFY, _SEGMENT),
    "augment": (_DIGITS,),
}


def train(
    context: typer.Context,
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER",
            help="A folder of photos for each class. A data.yaml as --annotations replaces it.",
        ),
    ] = None,
    digits: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Read the four IDX files of MNIST, plain or gzipped, instead of FOLDER."
        ),
    ] = None,
    task: Annotated[
        Literal["classify", "detect", "segment"] | None,
        typer.Option(
            help="Train a classifier of photos, a detector of objects (--annotations) or a segmenter of pixels "
            "(--masks). Default: detect with --annotations, segment with --masks, otherwise classify."
        ),
    ] = None,
    annotations: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Read the objects on the photos from a .json file of COCO, a folder of .xml files of Pascal VOC, or a "
            "folder of .txt files or a data.yaml of YOLO.",
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Read a PNG file for each photo, whose pixels are class numbers; classes.txt has the names.",
        ),
    ] = None,
    architecture: Annotated[
        Literal["lraspp", "deeplab"],
        typer.Option(help="With --task segment: choose what a classifier becomes."),
    ] = "lraspp",
    size: Annotated[
        Any,
        typer.Option(
            parser=parse_size,
            metavar="HxW",
            help="Set the height and width of the input, with --task detect or segment (default 320x320, or 160x160 "
            "on a classifier of small photos).",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Set the highest learning rate, with --task detect or segment (default 0.002).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="Start from this pretrained classifier (see `mpscnn models`); default: mobilenet_v2 if it "
            "is on this machine, else the bundled one. With --digits: deep_mnist, or digits for the "
            "small bundled network.",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.safetensors",
            help="Write the model to this file. FILE.safetensors.run keeps the state of the training for --resume.",
        ),
    ] = Path("mine.safetensors"),
    report: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Write confusion.png, curves.png and mistakes.html, the photos with the worst mistakes. With --task "
            "detect or segment: curves.png and classes.csv.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a stopped run with the same photos and options.")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Delete the state of a stopped run with this output, and start again."
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Train the last blocks for at most N passes over the photos (default {_PHOTO_EPOCHS}; 0: "
            f"train only the last layer), or the whole network for N passes over the digits (default {_DIGIT_EPOCHS}). "
            f"With --task detect or segment: train for at most N passes, 1 or more (default {_SCENE_EPOCHS}).",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"Use N photos in a step (default {_PHOTO_BATCH}, with --digits {_DIGIT_BATCH}, with --task detect or "
            f"segment {_SCENE_BATCH}).",
        ),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Validate with this share of each class's photos, which do not train (default 0.2). A folder val "
            "replaces it.",
        ),
    ] = None,
    trained_layers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Train the last blocks with at least N layers (default 7). With --task detect or segment: the last N "
            "layers of the pretrained network (default: all).",
        ),
    ] = None,
    views: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Train on N variants of each photo: cropped, mirrored, brighter or darker.",
        ),
    ] = 4,
    rotation: Annotated[
        float,
        typer.Option(
            min=0,
            max=180,
            metavar="DEGREES",
            help="Rotate variants of photos by up to this angle, to either side.",
        ),
    ] = 0,
    mixup: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Add another photo to this share of the variants."),
    ] = 0,
    cutmix: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Replace a part of this share of the variants by that of another photo.",
        ),
    ] = 0,
    transform: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="Change each photo of a training epoch by a Python function of a Pillow image, also given as "
            "MODULE:FUNCTION.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Minimize this loss: cross_entropy (the default) or focal, with --task segment also dice or "
            "dice_cross_entropy, their sum; or FILE.py:FUNCTION or MODULE:FUNCTION, a Python function that returns "
            "the loss and its gradient.",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            "--early-stopping",
            min=1,
            metavar="N",
            help="Stop each part of the training after N epochs without an improvement (default 5, with --task detect "
            "or segment 10).",
        ),
    ] = None,
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option(
            help="Let rare classes count as much as frequent ones: balanced weighs the losses of each class by the "
            "inverse of its number of photos."
        ),
    ] = None,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="With --digits: train on other views of the images in each epoch."),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=_MAX_SEED, metavar="N", help="Draw weights, order and variants from this random seed."
        ),
    ] = 0,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
) -> None:
    """Train a classifier, a detector or a segmenter on your photos, or a reader of handwritten digits.

    FOLDER has a folder of photos for each class, with the name of the class. In a data set that is split into the
    folders train, val (or valid, validation) and test, each of these has the folders of the classes; test is not used.
    At first a new last layer is trained on the features of a pretrained model. Then the model's last blocks are
    trained, too. The command writes the weights of the epoch with the best validation accuracy. Ctrl-C stops the
    training and writes the best weights so far.

    Example: mpscnn train photos/ --output mine.safetensors --report report/

    Example: mpscnn classify --model mine.safetensors photo.jpg

    --annotations trains a detector on the photos in FOLDER, whose objects they have. --masks trains a segmenter. Both
    start from a pretrained classifier, or from a model of the same task.

    Example: mpscnn train --task detect photos/ --annotations a.json --output mine.safetensors

    --digits trains Deep MNIST on handwritten digits.

    Example: mpscnn train --digits mnist/ --output mine.safetensors
    """
    named = annotations is not None and folder is None  # a data.yaml names the folder of its photos
    if (folder is None and not named) == (digits is None):
        raise typer.BadParameter("expected either FOLDER or --digits DIR", param_hint="FOLDER | --digits")
    if report == "":
        raise typer.BadParameter("an empty name is not a folder", param_hint="--report")
    report_folder = None if report is None else Path(report)
    if "" in (folder, digits):  # an empty path would mean the current folder
        raise typer.BadParameter("an empty name is not a folder", param_hint="FOLDER | --digits")
    if task is None:
        task = "detect" if annotations is not None else "segment" if masks is not None else "classify"
    _require_kind(context, f"--task {task}" if digits is None else _DIGITS)
    if task != "classify" and epochs == 0:
        raise typer.BadParameter(f"--task {task} needs 1 or more", param_hint="--epochs")
    if resume and restart:
        raise typer.BadParameter("exclude each other", param_hint="--resume, --restart")
    if output.suffix != ".safetensors":
        raise typer.BadParameter(f"the name must end in .safetensors, got {output}", param_hint="--output")
    with lock_output(output, warn):
        if digits is not None:
            _train_digits(
                Path(digits),
                output,
                model or "deep_mnist",
                epochs=_DIGIT_EPOCHS if epochs is None else epochs,
                batch_size=batch_size or _DIGIT_BATCH,
                augment=augment,
                seed=seed,
                device=device,
                threads=threads,
            )
        else:
            from mpscnn.apps.cli.named_function import loss_of_option, named_function
            from mpscnn.apps.cli.train_folder import Kind, accuracy_lines, scene_lines, train_folder
            from mpscnn.apps.train.photo_training import PhotoTraining
            from mpscnn.apps.train.report import REPORT_FILES
            from mpscnn.apps.train.scene_report import SCENE_REPORT_FILES
            from mpscnn.apps.train.scene_training import SceneData, SceneSource, ScenesTraining
            from mpscnn.training.classifier import ClassifierOptions
            from mpscnn.training.photo_views import Augmentation
            from mpscnn.training.run_folder import RunChoices
            from mpscnn.training.scenes.training import SceneOptions

            choices = RunChoices(resume, restart, device, threads or "auto")
            chosen_loss = None if loss is None else loss_of_option(loss)
            if task == "classify":
                assert folder is not None
                options = ClassifierOptions(
                    epochs=_PHOTO_EPOCHS if epochs is None else epochs,
                    batch_size=batch_size or _PHOTO_BATCH,
                    views=views,
                    trained_layers=_TRAINED_LAYERS if trained_layers is None else trained_layers,
                    patience=patience or _PHOTO_PATIENCE,
                    seed=seed,
                    class_weight=class_weight,
                    loss=chosen_loss or "softmax_cross_entropy",
                )
                variants = Augmentation(rotation=rotation, mixup=mixup, cutmix=cutmix)
                start = partial(
                    PhotoTraining,
                    Path(folder),
                    options=options,
                    validation=validation,
                    augment=variants,
                    transform=None if transform is None else named_function("--transform", transform),
                    choices=choices,
                )
                kind = Kind(start, REPORT_FILES, accuracy_lines, "classify")
            else:
                scenes = partial(
                    ScenesTraining,
                    SceneSource(folder, _labels(task, annotations, masks), validation),
                    SceneData(task, size, architecture, loss=chosen_loss),
                    options=SceneOptions(
                        epochs=_SCENE_EPOCHS if epochs is None else epochs,
                        batch_size=batch_size or _SCENE_BATCH,
                        learning_rate=_SCENE_RATE if learning_rate is None else learning_rate,
                        patience=patience or _SCENE_PATIENCE,
                        seed=seed,
                        trained_layers=trained_layers,
                    ),
                    choices=choices,
                )
                kind = Kind(scenes, SCENE_REPORT_FILES, scene_lines, task)
            train_folder(kind, output, model=model, report=report_folder, resume=resume)


def _labels(task: str, annotations: str | None, masks: str | None) -> str:
    """Return the place of the annotations or masks."""
    option, labels = ("--annotations", annotations) if task == "detect" else ("--masks", masks)
    if not labels:
        raise typer.BadParameter(f"--task {task} needs {option}", param_hint=option)
    return labels


def _require_kind(context: typer.Context, kind: str) -> None:
    """Refuse given options that have no meaning for this kind of training."""
    wrong = {
        f"--{name.replace('_', '-')}": kinds
        for name, kinds in _KINDS.items()
        if kind not in kinds and _is_given(context, name)
    }
    if wrong:
        shared = [one for one in (*_PHOTOS, _DIGITS) if all(one in kinds for kinds in wrong.values())]
        lead = f", only with {' or '.join(shared)}" if shared else ""
        raise typer.BadParameter(
            f"{'does' if len(wrong) == 1 else 'do'} not go with {kind}{lead}", param_hint=", ".join(wrong)
        )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _train_digits(
    folder: Path,
    output: Path,
    architecture: str,
    *,
    epochs: int,
    batch_size: int,
    augment: bool,
    seed: int,
    device: str,
    threads: int | None,
) -> None:
    from mpscnn.training.digits import DIGIT_NETWORKS, read_digits, train_digits

    if architecture not in DIGIT_NETWORKS:
        raise ParameterError(
            f"--model {architecture}: with --digits it must be {' or '.join(sorted(DIGIT_NETWORKS))}"
        )
    if epochs < 1:
        raise ParameterError("--epochs: digits need 1 or more")
    training, test = read_digits(folder, "train"), read_digits(folder, "t10k")

    def show_epoch(epoch: Epoch) -> None:
        show(
            f"epoch {epoch.index} of {epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, "
            f"{epoch.seconds:.1f} s"
        )

    network, result = train_digits(
        training,
        test,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        device=device,
        threads=threads or "auto",
        architecture=architecture,
        augment=augment,
        report=show_epoch,
    )
    labels = [str(digit) for digit in range(10)]
    network.save(output, labels=labels, preprocess="mnist", information=_INFORMATION)
    show(f"test images: {result.accuracy:.2%} right of {len(test.labels):,}", f"written: {output}")
    hint(f"Try it: mpscnn digits --model {quote_path(output)} PHOTO...")
