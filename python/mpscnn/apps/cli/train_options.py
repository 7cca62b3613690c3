"""State the options of `mpscnn train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from mpscnn.apps.cli.arguments import AUTO_DEVICE, DeviceOption, ThreadsOption
from mpscnn.apps.cli.existing_outputs import OverwriteOption
from mpscnn.apps.cli.sizes import parse_size


class Defaults(NamedTuple):
    """The default values of options that differ between kinds of training."""

    epochs: int
    batch_size: int
    patience: int = 0


DIGITS, PHOTOS, SCENES = Defaults(10, 64), Defaults(15, 32, 5), Defaults(40, 16, 10)
_MAX_SEED = 2**63 - 1  # the largest seed of `mpscnn.Trainer`

#: The kinds of training.
_CLASSIFY, _DETECT, _SEGMENT, _READ_DIGITS = "--task classify", "--task detect", "--task segment", "--digits"
_TAGS, _NUMBER, _KEYPOINTS = "--task tags", "--task number", "--task keypoints"
_OF_LABELS = (_TAGS, _NUMBER, _KEYPOINTS)
_OF_CLASSIFIERS = (_CLASSIFY, *_OF_LABELS)
_OF_SCENES = (_DETECT, _SEGMENT)
_OF_PHOTOS = (*_OF_CLASSIFIERS, *_OF_SCENES)
#: Options that only some kinds of training have, each with these kinds.
_KINDS = {
    "task": _OF_PHOTOS,
    "annotations": (_DETECT,),
    "masks": (_SEGMENT,),
    "labels": _OF_LABELS,
    "architecture": (_SEGMENT,),
    "size": _OF_PHOTOS,
    "learning_rate": _OF_SCENES,
    "report": _OF_PHOTOS,
    "resume": _OF_PHOTOS,
    "restart": _OF_PHOTOS,
    "validation": _OF_PHOTOS,
    "trained_layers": _OF_PHOTOS,
    "views": _OF_CLASSIFIERS,
    "rotation": _OF_CLASSIFIERS,
    "mixup": (_CLASSIFY, _TAGS),
    "cutmix": (_CLASSIFY, _TAGS),
    "patience": _OF_PHOTOS,
    "class_weight": (_CLASSIFY,),
    "transform": _OF_CLASSIFIERS,
    "loss": (*_OF_CLASSIFIERS, _SEGMENT),
    "teacher": (_CLASSIFY, _DETECT),
    "temperature": (_CLASSIFY,),
    "teacher_share": (_CLASSIFY,),
    "augment": (_READ_DIGITS,),
}
#: The options that say where labels are. They are for different kinds.
_LABELS = ("annotations", "masks", "labels")


@dataclass(frozen=True)
class TrainOptions:
    """The options of `mpscnn train`. `add_options` makes options of them."""

    digits: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Read the four IDX files of MNIST, plain or gzipped, instead of FOLDER."
        ),
    ] = None
    task: Annotated[
        Literal["classify", "tags", "number", "keypoints", "detect", "segment"] | None,
        typer.Option(
            help="Train a classifier of photos, a model of tags, numbers or points (--labels), a detector of objects "
            "(--annotations) or a segmenter of pixels (--masks). Default: detect with --annotations, segment with "
            "--masks, otherwise classify."
        ),
    ] = None
    annotations: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Read the objects on the photos from a .json file of COCO or Create ML, a folder of .xml files of "
            "Pascal VOC, or a folder of .txt files or a data.yaml of YOLO.",
        ),
    ] = None
    masks: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Read a PNG file for each photo, whose pixels are class numbers; classes.txt has the names.",
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="With --task tags, number or keypoints: read the labels from a table with a line for each photo in "
            "FOLDER, such as photo,beach,sunset with 0 or 1, photo,weight (kg) with numbers, or photo,nose_x,nose_y "
            "with pixels.",
        ),
    ] = None
    architecture: Annotated[
        Literal["lraspp", "deeplab"],
        typer.Option(help="With --task segment: choose what a classifier becomes."),
    ] = "lraspp"
    size: Annotated[
        Any,
        typer.Option(
            parser=parse_size,
            metavar="HxW",
            help="Set the height and width of the input (default: that of the model; with --task detect or segment "
            "320x320, or 160x160 on a classifier of small photos).",
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Set the highest learning rate, with --task detect or segment (default 0.002).",
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="Start from this pretrained classifier (see `mpscnn models`), such as mobilenet_v2; "
            "default: the bundled one. With --digits: deep_mnist, or digits for the "
            "small bundled network.",
        ),
    ] = None
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.safetensors",
            help="Write the model to this file. FILE.safetensors.run keeps the state of the training for --resume.",
        ),
    ] = Path("mine.safetensors")
    report: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Write confusion.png, curves.png and mistakes.html, the photos with the worst mistakes. With --task "
            "detect or segment: report.html, curves.png, predictions.png and classes.csv, and for "
            "detect confusion.png and precision_recall.png. With --labels: curves.png and labels.csv.",
        ),
    ] = None
    overwrite: OverwriteOption = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a stopped run with the same photos and options.")
    ] = False
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Delete the state of a stopped run with this output, and start again."
        ),
    ] = False
    epochs: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Train the last blocks for at most N passes over the photos (default {PHOTOS.epochs}; 0: "
            f"train only the last layer), or the whole network for N passes over the digits (default {DIGITS.epochs}). "
            f"With --task detect or segment: train for at most N passes, 1 or more (default {SCENES.epochs}).",
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"Use N photos in a step (default {PHOTOS.batch_size}, with --digits {DIGITS.batch_size}, with --task "
            f"detect or segment {SCENES.batch_size}).",
        ),
    ] = None
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Validate with this share of each class's photos, which do not train (default 0.2). A folder val "
            "replaces it.",
        ),
    ] = None
    trained_layers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Train the last blocks with at least N layers (default 7). With --task detect or segment: the last N "
            "layers of the pretrained network (default: all).",
        ),
    ] = None
    views: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Train on N variants of each photo: cropped, mirrored, brighter or darker.",
        ),
    ] = 4
    rotation: Annotated[
        float,
        typer.Option(
            min=0,
            max=180,
            metavar="DEGREES",
            help="Rotate variants of photos by up to this angle, to either side.",
        ),
    ] = 0
    mixup: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Add another photo to this share of the variants."),
    ] = 0
    cutmix: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Replace a part of this share of the variants by that of another photo.",
        ),
    ] = 0
    transform: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="Change each photo of a training epoch by a Python function of a Pillow image, also given as "
            "MODULE:FUNCTION.",
        ),
    ] = None
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Minimize this loss: cross_entropy (the default) or focal, with --task segment also dice or "
            "dice_cross_entropy, their sum; with --task tags sigmoid_cross_entropy or sigmoid_focal; with --task "
            "number or keypoints mean_squared_error, mean_absolute_error or huber; or FILE.py:FUNCTION or "
            "MODULE:FUNCTION, a Python function that returns the loss and its gradient.",
        ),
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            "--early-stopping",
            min=1,
            metavar="N",
            help=f"Stop each part of the training after N epochs without an improvement (default {PHOTOS.patience}, "
            f"with --task detect or segment {SCENES.patience}).",
        ),
    ] = None
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option(
            help="Let rare classes count as much as frequent ones: balanced weighs the losses of each class by the "
            "inverse of its number of photos."
        ),
    ] = None
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="Train on the answers of this classifier, too, which must know all classes of the photos. With "
            "--task detect: learn what this detector finds beside the labelled objects.",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            min=1, max=100, metavar="T", help="Soften the probabilities of the --teacher (default 4)."
        ),
    ] = None
    teacher_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Set the share of the --teacher in the loss; the rest is that of the labels (default 0.9).",
        ),
    ] = None
    augment: Annotated[
        bool,
        typer.Option("--augment", help="With --digits: train on other views of the images in each epoch."),
    ] = False
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=_MAX_SEED, metavar="N", help="Draw weights, order and variants from this random seed."
        ),
    ] = 0
    device: DeviceOption = AUTO_DEVICE
    threads: ThreadsOption = None

    @property
    def kind(self) -> Literal["classify", "tags", "number", "keypoints", "detect", "segment"]:
        """The task of a training on photos."""
        if self.task is not None:
            return self.task
        return (
            "detect" if self.annotations is not None else "segment" if self.masks is not None else "classify"
        )


OPTIONS = TrainOptions()


def require_kind(context: typer.Context, kind: str) -> None:
    """Refuse given options that have no meaning for this kind of training: "--digits", or --task with its value."""
    wrong = {
        f"--{name.replace('_', '-')}": kinds
        for name, kinds in _KINDS.items()
        if kind not in kinds and _is_given(context, name)
    }
    if wrong:
        shared = [one for one in (*_OF_PHOTOS, _READ_DIGITS) if all(one in kinds for kinds in wrong.values())]
        lead = f", only with {' or '.join(shared)}" if shared else ""
        if kind == _CLASSIFY and "--augment" in wrong:
            lead += "; --views, --rotation, --mixup and --cutmix say how photos vary"
        lead += _place_of_labels(context, kind)
        raise typer.BadParameter(
            f"{'does' if len(wrong) == 1 else 'do'} not go with {kind}{lead}", param_hint=", ".join(wrong)
        )


def _place_of_labels(context: typer.Context, kind: str) -> str:
    """Return the option for labels of this kind, with the place that another one of `_LABELS` names; "" for none."""
    own = next((name for name in _LABELS if kind in _KINDS[name]), None)
    other = next((name for name in _LABELS if kind not in _KINDS[name] and _is_given(context, name)), None)
    if own is None or other is None or _is_given(context, own):
        return ""
    return f"; --{own} {context.params[other]} is the place of labels for {kind}"


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
