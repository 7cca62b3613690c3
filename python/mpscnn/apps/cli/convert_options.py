"""State the options of `mpscnn convert`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class WeightType(str, Enum):
    """The values of --dtype."""

    float16 = "float16"
    float32 = "float32"
    uint8 = "uint8"


class Layout(str, Enum):
    """The values of --layout."""

    nchw = "nchw"
    nhwc = "nhwc"


FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="The file to convert, then the .safetensors, .onnx, .tflite, .mlpackage or .mlmodel file to write unless "
        "--output gives it. Several files to convert are parts of one network, in order. A folder is a SavedModel, "
        "a .mlpackage or .mlmodelc, or holds Deep MNIST's eight raw files.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write this .safetensors, .onnx, .tflite, .mlpackage or .mlmodel file.",
    ),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Take the class names from a file: one per line, in the order of the outputs; or a JSON "
        "list of them.",
    ),
]
PreprocessOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME_OR_JSON",
        help="Store how photos become the input: tensorflow (-1 to 1), caffe, torch, torchvision, unit, none, "
        "mnist; or settings as JSON, such as '{\"mean\": [127, 127, 127]}', or a .json "
        "file. A file whose input is 8-bit integers has these settings already.",
    ),
]
DetectionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME_OR_JSON",
        help="Store how a detector's raw outputs become boxes: ultraface, ssd, ssd-softmax; or settings as "
        "JSON or a .json file (the page on detection of the documentation lists them).",
    ),
]
DtypeOption = Annotated[
    WeightType | None,
    typer.Option(
        help="Store weights in this type. Default: quantised networks keep 8-bit integers (uint8) in all "
        "formats; others have float16, in ONNX and TensorFlow Lite files float32.",
        show_default=False,
    ),
]
LayoutOption = Annotated[
    Layout,
    typer.Option(help="Write an ONNX file with this order of axes for image inputs and outputs."),
]
ArchitectureOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name the network of a file of PyTorch weights, if names and shapes fit several.",
    ),
]
SignatureOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Convert this signature of a TensorFlow Lite file or a SavedModel that has several. Default: "
        "serving_default; otherwise the first of a TensorFlow Lite file, and the only one of a SavedModel.",
    ),
]
FoldOption = Annotated[
    bool,
    typer.Option(
        "--fold/--no-fold",
        help="Fold the batch normalizations of a PyTorch file into the layers before them, or keep them as "
        "layers, for training. In other formats they are kept.",
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check/--no-check", help="Compare the result with the file on its own engine.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Write the result even if it differs from the file.")
]
ShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="INPUT=1x3x224x224",
        help="Set the shape of an input that has free axes in the file, with the batch and in the file's "
        "order of axes.",
        show_default=False,
    ),
]
OutputsOption = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Use these tensors of the file as outputs, if its last layers cannot be converted.",
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        metavar="SYSTEM",
        help="Write a Core ML model for this system and later ones: iOS13 to iOS18. Default: iOS15 for "
        ".mlpackage (iOS16 with uint8 or a palette), iOS14 for .mlmodel.",
        show_default=False,
    ),
]
PaletteOption = Annotated[
    int | None,
    typer.Option(
        metavar="BITS",
        help="Store each weight of a .mlpackage in 1, 2, 4, 6 or 8 bits, as a place in a table.",
        show_default=False,
    ),
]
ReportOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write a report of the layers that cannot be converted, why, and what to do ('-': to the "
        "terminal). The file to write may then be missing.",
    ),
]


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
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
