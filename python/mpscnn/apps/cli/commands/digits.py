"""The command `mpscnn digits`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn.apps.cli.arguments import InflightOption, ModelOption
from mpscnn.apps.cli.commands.classify import classifying
from mpscnn.apps.cli.existing_outputs import OverwriteOption
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import show, show_json
from mpscnn.apps.cli.photo_command import picture_folder, show_photos
from mpscnn.apps.cli.photo_options import list_photos
from mpscnn.apps.cli.result_printer import ResultPrinter, output_format
from mpscnn.apps.cli.task import require_task
from mpscnn.errors import ImageError, ParameterError
from mpscnn.model import Model, load
from mpscnn.opening_models import model_path, open_model
from mpscnn.registry.catalogue import DIGITS
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.idx import read_labelled
from mpscnn.vision.results import Classification, score_text

#: If the first digit is less probable than this, the second one is shown, too.
_SURE = 0.9


@dataclass(frozen=True)
class _Experiment:
    """The numbers of images and right answers of an IDX file, and the seconds for classifying the images."""

    images: int
    inflight: int
    seconds: float
    right: int | None
    """The number of right answers; None without labels."""

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None else self.right / self.images


@add_options()
def digits(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Photos or scans of one digit each, and folders for the image files in them.",
        ),
    ] = None,
    model: ModelOption = DIGITS.name,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Write each photo with its digit below: into DIR as NAME_digit.png, or a single one to FILE.png.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    idx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the images of an IDX file, plain or gzipped, and measure the time."
        ),
    ] = None,
    idx_labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the digits of the images of --idx, for the accuracy."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Read only the first N images of --idx.")
    ] = None,
    inflight: InflightOption = 3,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per image (or for the IDX file) and line.")
    ] = False,
) -> None:
    """Read single handwritten digits.

    The digit may be dark on a light ground or light on a dark one. It is cut out and centred like the digits of MNIST.
    With --idx the command reads the images of an MNIST file one by one, and prints the seconds and the images per
    second, and with --idx-labels the accuracy.

    Example: mpscnn digits scan.png

    Example: mpscnn digits --idx t10k-images-idx3-ubyte.gz --idx-labels t10k-labels-idx1-ubyte.gz --count 5000
    """
    if (idx is None) == (not images):
        raise typer.BadParameter("expected either images or an IDX file", param_hint="IMAGE... | --idx FILE")
    if idx is None and (idx_labels is not None or count is not None):
        raise typer.BadParameter("belong to --idx", param_hint="--idx-labels, --count")
    if idx is not None and output is not None:
        raise typer.BadParameter("belongs to photos, not to --idx", param_hint="--output")
    paths, failures = list_photos(images or [])
    if idx is None and not paths:
        raise typer.Exit(FAILED)
    if idx is not None:
        core = open_model(model_path(model))
        core.remove_calibration()  # its features would be a second output, which is not needed here
        loaded = Model(core, **program.to_dict(), **runs.to_dict())
        pixels, classes = _read(idx, idx_labels, count)
        result = _name_all(loaded, pixels, classes, inflight, runs)
        if as_json:
            show_json(_experiment_fields(idx, loaded, result))
        else:
            show(*_experiment_lines(idx, loaded, result))
        return
    loaded = load(model, **program.to_dict(), **runs.to_dict())
    require_task(loaded, model, "classification")
    task = classifying(_lines, 10, "_digit")
    folder = None if output is None else picture_folder(task, output, paths, overwrite=overwrite)
    printer = ResultPrinter(loaded, output_format(as_json, as_csv=False), _lines)
    if show_photos(task, paths, loaded, printer, folder) or failures:
        raise typer.Exit(FAILED)


def _lines(path: str, result: Classification) -> list[str]:
    likely = result.top(1 if result[0].probability >= _SURE else 2)
    texts = [f"{entry.label} ({score_text(entry.probability, result.scores_are)})" for entry in likely]
    return [f"{path}: {', or '.join(texts)}"]


# ---- --idx: accuracy and speed on a file of digits ---------------------------------------------------------------


def _read(
    idx: Path, labels: Path | None, count: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    pixels, classes = read_labelled(idx, labels)
    if count is not None and count > len(pixels):
        raise ImageError(f"{idx}: has {len(pixels):,} images, --count asks for {count:,}")
    return pixels[:count], None if classes is None else classes[:count]


def _name_all(
    model: Model,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.uint8] | None,
    inflight: int,
    runs: RunOptions,
) -> _Experiment:
    """Classify the images one by one, with `inflight` of them in progress. Only the network's time is measured."""
    program = model.program
    outputs = next(iter(program.outputs.values()))
    if classes is not None and classes.max() >= (outputs[-1] or 0):
        raise ParameterError(
            f"the labels go up to {classes.max()}, but {model.name} has {outputs[-1]} classes"
        )
    images = _normalised(model, pixels)
    found = np.empty((len(images), outputs[-1] or 0), np.float32)
    session = program.session(inflight=inflight, **runs.to_dict())
    session.run(images[:1], out=found[:1])  # the first run allocates the memory, so it is not timed
    started = time.perf_counter()
    requests = [session.submit(images[i : i + 1], out=found[i : i + 1]) for i in range(len(images))]
    for request in requests:
        request.result()
    seconds = time.perf_counter() - started
    right = None if classes is None else int((found.argmax(axis=1) == classes).sum())
    return _Experiment(len(images), inflight, seconds, right)


def _normalised(model: Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalise pixels as the model's preprocessing does, without searching for the digits, which are centred."""
    settings = model.preprocess or {"mean": [0.0], "scale": [1 / 255]}
    if len(settings["mean"]) != 1:
        raise ParameterError(f"{model.name} is a network for colour photos, an IDX file has gray images")
    mean, scale = np.float32(settings["mean"][0]), np.float32(settings["scale"][0])
    images: NDArray[np.float32] = (pixels[..., None].astype(np.float32) - mean) * scale
    return images


def _experiment_fields(idx: Path, model: Model, result: _Experiment) -> dict[str, Any]:
    program = model.program
    about = {"idx": str(idx), "model": model.name, "device": program.device, "precision": program.precision}
    rates = {"accuracy": result.accuracy, "images_per_second": result.images_per_second}
    return about | asdict(result) | rates


def _experiment_lines(idx: Path, model: Model, result: _Experiment) -> list[str]:
    program = model.program
    lines = [
        f"{idx}: {result.images:,} images one by one, {result.inflight} in flight, "
        f"{model.name} on {program.device} ({program.precision})"
    ]
    if result.right is not None:
        lines.append(f"accuracy  {result.accuracy:.2%} ({result.right:,} right)")
    return [*lines, f"seconds   {result.seconds:.3f}", f"images/s  {result.images_per_second:,.0f}"]
