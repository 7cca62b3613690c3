"""The command `mpscnn train`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from mpscnn.apps.cli.option_groups import add_options
from mpscnn.apps.cli.output import warn
from mpscnn.apps.cli.train_options import OPTIONS, TrainOptions, require_kind
from mpscnn.apps.train.output_lock import lock_output
from mpscnn.training.scenes.yolo_parts import is_settings


@add_options()
def train(
    context: typer.Context,
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER",
            help="A folder of photos for each class, or of photos with labels; or a data.yaml of YOLO.",
        ),
    ] = None,
    options: TrainOptions = OPTIONS,
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

    --task tags trains on any number of tags for each photo, --task number on numbers such as a weight, and --task
    keypoints on the places of points. --labels is a table with a line for each photo.

    Example: mpscnn train photos/ --task tags --labels tags.csv --output mine.safetensors

    --digits trains Deep MNIST on handwritten digits.

    Example: mpscnn train --digits mnist/ --output mine.safetensors
    """
    folder, options = _with_settings(folder, options)
    _require_right(context, folder, options)
    with lock_output(options.output, warn):
        if options.digits is not None:
            from mpscnn.apps.cli.train_digits import train_digits

            train_digits(options)
        else:
            from mpscnn.apps.cli.train_folder import train_folder

            train_folder(folder, options)


def _with_settings(folder: str | None, options: TrainOptions) -> tuple[str | None, TrainOptions]:
    """Return the folder and the options, where a data.yaml as FOLDER becomes the annotations: it names its photos."""
    if not is_settings(folder):
        return folder, options
    if options.kind == "detect" and options.annotations is None:
        return None, replace(options, annotations=folder)
    if options.kind == "segment" and options.masks is None:
        return None, replace(options, masks=folder)
    if options.kind not in ("detect", "segment"):
        raise typer.BadParameter(
            f"{folder} has photos with objects: give --task detect, or --task segment if they have outlines",
            param_hint="FOLDER",
        )
    return folder, options


def _require_right(context: typer.Context, folder: str | None, options: TrainOptions) -> None:
    """Refuse options that exclude each other or have no meaning together."""
    # A data.yaml names the folder of its photos.
    named = folder is None and (options.annotations is not None or options.masks is not None)
    if (folder is None and not named) == (options.digits is None):
        raise typer.BadParameter("expected either FOLDER or --digits DIR", param_hint="FOLDER | --digits")
    if options.report == "":
        raise typer.BadParameter("an empty name is not a folder", param_hint="--report")
    if "" in (folder, options.digits):  # an empty path would mean the current folder
        raise typer.BadParameter("an empty name is not a folder", param_hint="FOLDER | --digits")
    require_kind(context, f"--task {options.kind}" if options.digits is None else "--digits")
    for name in ("temperature", "teacher_share"):
        if getattr(options, name) is not None and options.teacher is None:
            raise typer.BadParameter("only with --teacher", param_hint=f"--{name.replace('_', '-')}")
    if options.kind in ("detect", "segment") and options.epochs == 0:
        raise typer.BadParameter(f"--task {options.kind} needs 1 or more", param_hint="--epochs")
    if options.kind in ("tags", "number", "keypoints") and options.labels is None:
        raise typer.BadParameter(f"--task {options.kind} needs a table of labels", param_hint="--labels")
    if options.resume and options.restart:
        raise typer.BadParameter("exclude each other", param_hint="--resume, --restart")
    if options.output.suffix != ".safetensors":
        raise typer.BadParameter(
            f"the name must end in .safetensors, got {options.output}; `mpscnn convert` then writes other formats",
            param_hint="--output",
        )
