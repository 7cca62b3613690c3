"""State the options of `mpscnn convert`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mpscnn._private.literals import StoredTypeName
from mpscnn.apps.cli.arguments import ScoresOption, above_zero, split_names
from mpscnn.apps.cli.sizes import SizeOption

if TYPE_CHECKING:
    from mpscnn.graph.network import Network


@dataclass(frozen=True)
class ConvertOptions:
    """The options of `mpscnn convert`: how files are read, and what is written. `add_options` makes options of them."""

    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take the class names from a file: one per line, in the order of the outputs; or a JSON "
            "list of them.",
        ),
    ] = None
    preprocess: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_JSON",
            help="Store how photos become the input: tensorflow (-1 to 1), caffe, torch, torchvision, unit, none, "
            "mnist; or settings as JSON, such as '{\"mean\": [127, 127, 127]}', or a .json "
            "file. A file whose input is 8-bit integers has these settings already.",
        ),
    ] = None
    detection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_JSON",
            help="Store how a detector's raw outputs become boxes: ultraface, ssd, ssd-softmax; or settings as "
            "JSON or a .json file (the page on detection of the documentation lists them).",
        ),
    ] = None
    scores: ScoresOption = None
    dtype: Annotated[
        StoredTypeName | None,
        typer.Option(
            help="Store weights in this type. Default: quantised networks keep 8-bit integers (uint8) in all "
            "formats; others have float16, in ONNX and TensorFlow Lite files float32."
        ),
    ] = None
    layout: Annotated[
        Literal["nchw", "nhwc"] | None,
        typer.Option(
            help="Write an ONNX file with this order of axes for image inputs and outputs (default nchw)."
        ),
    ] = None
    size: SizeOption = None
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name the network of a file of PyTorch weights, if names and shapes fit several.",
        ),
    ] = None
    signature: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Convert this signature of a TensorFlow Lite file or a SavedModel, or this function of a Core ML "
            "program, if the file has several. Default: serving_default, otherwise the first of a TensorFlow Lite file "
            "and the only one of a SavedModel; the default function of a program.",
        ),
    ] = None
    fold: Annotated[
        bool,
        typer.Option(
            "--fold/--no-fold",
            help="Fold the batch normalizations of a PyTorch or Caffe file into the layers before them, or keep them "
            "as layers, for training. In other formats they are kept.",
        ),
    ] = True
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare the result with the file on its own engine.")
    ] = True
    force: Annotated[
        bool, typer.Option("--force", help="Write the result even if it differs from the file.")
    ] = False
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=1x3x224x224",
            help="Set the shape of an input that has free axes in the file, with the batch and in the file's "
            "order of axes.",
        ),
    ] = None
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Use these tensors of the file as outputs, if its last layers cannot be converted.",
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            metavar="SYSTEM",
            help="Write a Core ML model for this system and later ones: iOS13 to iOS18. Default: iOS15 for "
            ".mlpackage (iOS16 with uint8 or a palette), iOS14 for .mlmodel.",
        ),
    ] = None
    palette: Annotated[
        int | None,
        typer.Option(
            metavar="BITS",
            help="Store each weight of a .mlpackage in 1, 2, 4, 6 or 8 bits, as a place in a table.",
        ),
    ] = None
    image_input: Annotated[
        bool,
        typer.Option(
            "--image-input",
            help="Let a .aimodel take an image (BGRA) and scale its samples itself. Default: an array.",
        ),
    ] = False
    score_threshold: Annotated[
        float | None,
        typer.Option(
            "--score-threshold",
            "--threshold",
            "--conf",
            max=1.0,
            callback=above_zero,
            help="Store that a detector omits objects with a lower probability; default: the model's. Measures of "
            "accuracy by other tools need a low one, such as 0.01.",
        ),
    ] = None
    iou_threshold: Annotated[
        float | None,
        typer.Option(
            "--iou-threshold",
            "--iou",
            max=1.0,
            callback=above_zero,
            help="Store that a detector omits a box whose overlap (intersection over union) with a more probable one "
            "of its class is larger; default: the model's.",
        ),
    ] = None
    max_detections: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Store that a detector finds at most N objects; default: the model's."
        ),
    ] = None
    suppression: Annotated[
        bool,
        typer.Option(
            "--suppression",
            help="Let the .onnx file of a detector end with NonMaxSuppression, so that its outputs are boxes, classes "
            "and scores. Default: the network's outputs.",
        ),
    ] = False


OPTIONS = ConvertOptions()


@dataclass(frozen=True, kw_only=True)
class Conversion(ConvertOptions):
    """The options of `mpscnn convert`, with the files to read and the file to write.

    `record` says where files of the hub are from, with commit and hash; "" for other files.
    """

    sources: Sequence[Path]
    output: Path
    record: str = ""

    @property
    def information(self) -> dict[str, str]:
        """The texts about the model that follow from its files."""
        return {"source": self.record} if self.record else {}

    @property
    def output_names(self) -> list[str]:
        """The tensors that --outputs names."""
        return split_names(self.outputs or "")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of inputs by name."""
        return dict(map(_parsed_shape, self.shape or []))

    def reading(self) -> dict[str, Any]:
        """Return the named arguments of `mpscnn.converters.read_network`."""
        names = ("size", "architecture", "fold", "signature")
        own = {name: getattr(self, name) for name in names}
        return {**own, "shapes": self.shapes, "outputs": self.output_names}

    def choose_settings(self, network: Network) -> None:
        """Set the detection, preprocessing, labels, scores and limits of the user, and drop labels that do not fit."""
        from mpscnn.converters.finishing.photo_settings import choose_settings, drop_wrong_labels

        choose_settings(network, **self.settings())
        drop_wrong_labels(network)

    def settings(self) -> dict[str, Any]:
        """Return the named arguments of `mpscnn.converters.finishing.photo_settings.choose_settings`."""
        limits = ("score_threshold", "iou_threshold", "max_detections")
        return {
            name: getattr(self, name) for name in ("detection", "preprocess", "labels", "scores", *limits)
        }


def _parsed_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse NAME=EXTENTS to an input's name and extents. The name may contain "="."""
    name, equals, extents = text.rpartition("=")
    numbers = extents.lower().split("x")
    if not equals or not all(
        number.isascii() and number.isdigit() and len(number) < 10 for number in numbers
    ):
        raise typer.BadParameter(
            f"expected a shape such as image=1x3x224x224, got {text!r}", param_hint="--shape"
        )
    return name, tuple(int(number) for number in numbers)
