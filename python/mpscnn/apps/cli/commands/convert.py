"""The command `mpscnn convert`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from mpscnn._private.files import replace_atomically
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.arguments import ScoresOption, split_names
from mpscnn.apps.cli.coreml_output import COREML_SUFFIXES, write_coreml
from mpscnn.apps.cli.failures import DIFFERENT
from mpscnn.apps.cli.onnx_output import ONNX_SUFFIX, write_onnx
from mpscnn.apps.cli.output import report as report_error
from mpscnn.apps.cli.output import show, show_as_is, warn
from mpscnn.apps.cli.sizes import SizeOption
from mpscnn.apps.cli.written_network import Conversion
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network


class WeightType(str, Enum):
    """The values of --dtype."""

    float16 = "float16"
    float32 = "float32"
    uint8 = "uint8"


class Layout(str, Enum):
    """The values of --layout."""

    nchw = "nchw"
    nhwc = "nhwc"


def convert(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="The file to convert, then the .safetensors, .onnx, .mlpackage or .mlmodel file to write unless "
            "--output gives it. Several files to convert are parts of one network, in order. A folder is a SavedModel, "
            "a .mlpackage or .mlmodelc, or holds Deep MNIST's eight raw files.",
            show_default=False,
        ),
    ],
    written: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write this .safetensors, .onnx, .mlpackage or .mlmodel file.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take the class names from a file: one per line, in the order of the outputs; or a JSON "
            "list of them.",
        ),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_JSON",
            help="Store how photos become the input: tensorflow (-1 to 1), caffe, torch, torchvision, unit, none, "
            "mnist; or settings of docs/preprocessing.md as JSON, such as '{\"mean\": [127, 127, 127]}', or a .json "
            "file. A file whose input is 8-bit integers has these settings already.",
        ),
    ] = None,
    detection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_JSON",
            help="Store how a detector's raw outputs become boxes: ultraface, ssd, ssd-softmax; or settings of "
            "docs/detection.md as JSON or a .json file.",
        ),
    ] = None,
    scores: ScoresOption = None,
    dtype: Annotated[
        WeightType | None,
        typer.Option(
            help="Store weights in this type. Default: quantised networks keep 8-bit integers (uint8) in all "
            "formats; others have float16, in ONNX files float32.",
            show_default=False,
        ),
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="Write an ONNX file with this order of axes for image inputs and outputs."),
    ] = Layout.nchw,
    size: SizeOption = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name the network of a file of PyTorch weights, if names and shapes fit several.",
        ),
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Convert this signature of a TensorFlow Lite file or a SavedModel that has several. Default: "
            "serving_default; otherwise the first of a TensorFlow Lite file, and the only one of a SavedModel.",
        ),
    ] = None,
    fold: Annotated[
        bool,
        typer.Option(
            "--fold/--no-fold",
            help="Fold the batch normalizations of a PyTorch file into the layers before them, or keep them as "
            "layers, for training. In other formats they are kept.",
        ),
    ] = True,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare the result with the file on its own engine.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write the result even if it differs from the file.")
    ] = False,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=1x3x224x224",
            help="Set the shape of an input that has free axes in the file, with the batch and in the file's "
            "order of axes.",
            show_default=False,
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Use these tensors of the file as outputs, if its last layers cannot be converted.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="SYSTEM",
            help="Write a Core ML model for this system and later ones: iOS13 to iOS18. Default: iOS15 for "
            ".mlpackage (iOS16 with uint8 or a palette), iOS14 for .mlmodel.",
            show_default=False,
        ),
    ] = None,
    palette: Annotated[
        int | None,
        typer.Option(
            metavar="BITS",
            help="Store each weight of a .mlpackage in 1, 2, 4, 6 or 8 bits, as a place in a table.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a report of the layers that cannot be converted, why, and what to do ('-': to the "
            "terminal). The file to write may then be missing.",
        ),
    ] = None,
) -> None:
    """Convert models of other frameworks to model files, and models to ONNX and Core ML.

    The raw files of Deep MNIST are read, too.

    The result is compared layer by layer with the file on its own engine, where that is installed. If they differ,
    nothing is written, and the exit code is 3. With --force the result is written anyway.

    Several files are joined: each takes the outputs of the one before as its input.

    Example: mpscnn convert model.tflite --output model.safetensors --labels labels.txt

    Example: mpscnn convert model.onnx model.safetensors --preprocess torchvision

    Example: mpscnn convert model.safetensors model.onnx

    Example: mpscnn convert model.safetensors model.mlpackage --target iOS16

    Example: mpscnn convert model.onnx --report -

    Example: mpscnn convert resnet18.pth model.safetensors --labels imagenet.txt

    Example: mpscnn convert body.tflite head.tflite model.safetensors

    Example: mpscnn convert version-slim-320.onnx faces.safetensors --detection ultraface

    Example: mpscnn convert weights/ deep_mnist.safetensors --preprocess mnist
    """
    shapes = dict(_parse_shape(text) for text in shape or [])
    stops = split_names(outputs or "")
    if written is not None:
        paths = [*paths, written]
    if report is not None:
        sources = paths if len(paths) == 1 else paths[:-1]
        _report(
            sources,
            report,
            size=size,
            shapes=shapes,
            outputs=stops,
            architecture=architecture,
            fold=fold,
            signature=signature,
        )
        if len(paths) == 1:
            return
    if len(paths) < 2:
        raise typer.BadParameter(
            "expected at least one file to read, and the file to write", param_hint="IN... OUT"
        )
    from mpscnn.comparison.conversion_check import any_size, check_conversion, differs
    from mpscnn.comparison.weight_rounding import rounding_effect
    from mpscnn.converters import convert_files
    from mpscnn.converters.photo_input import takes_photos
    from mpscnn.graph.quantized import stored_type

    *sources, output = paths
    if any(output.exists() and source.exists() and output.samefile(source) for source in sources):
        raise typer.BadParameter(f"{output} is a file to read, too: give another name", param_hint="OUT")
    given = Conversion(
        sources,
        output,
        size,
        shapes,
        stops,
        architecture,
        fold,
        signature,
        check=check,
        force=force,
        labels=labels,
        preprocess=preprocess,
        detection=detection,
        scores=scores,
    )
    if output.suffix.lower() == ONNX_SUFFIX:
        write_onnx(given, dtype=None if dtype is None else dtype.value, layout=layout.value)
        return
    if output.suffix.lower() in COREML_SUFFIXES:
        write_coreml(
            given,
            dtype=None if dtype is None else dtype.value,
            palette=palette,
            target=target,
        )
        return
    if target is not None:
        raise typer.BadParameter("only Core ML models have a target", param_hint="--target")
    if palette is not None:
        raise typer.BadParameter("only Core ML models have palettes", param_hint="--palette")
    verdict, compared, different = "", False, False

    def approve(network: Network) -> bool:
        nonlocal verdict, compared, different
        for note in network.notes:
            warn(f"{sources[0]}: {note}")
        if check:
            found, verdict = check_conversion(
                network, sources, size or any_size(network), stops, shapes, signature=signature
            )
            compared, different = found is not None, differs(found)
        return force or not different

    network = convert_files(
        sources,
        output,
        labels=labels,
        preprocess=preprocess,
        dtype=None if dtype is None else dtype.value,
        detection=detection,
        scores=scores,
        approve=approve,
        **given.reading(),
    )
    if different and not force:
        show(verdict)
        report_error(
            f"{sources[0]}: the network does not compute what the file does, so {output} is not written; --force "
            "writes it, and mpscnn compare --layers shows where they differ"
        )
        raise typer.Exit(DIFFERENT)
    if network.preprocess is None and takes_photos(network):
        warn(
            f"{sources[0]} does not say how a photo becomes the network's input, so {output} cannot be used with "
            "photos; for photos convert it with --preprocess NAME (mpscnn convert --help)"
        )
    description = network.describe(any_size(network))
    parameters = sum(layer["parameters"] for layer in description["layers"])
    stored = stored_type(network, None if dtype is None else dtype.value, "float16")
    show(
        f"{output}: {network.name}, {len(description['layers'])} layers, {parameters:,} parameters, "
        f"{bytes_text(output.stat().st_size)} ({stored})"
    )
    if check:
        show(f"before storing: {verdict}" if compared else verdict)
        show(rounding_effect(network, output, size or any_size(network)).sentence(output, stored))
    if different:
        warn(
            f"{output} is written because of --force, but does not compute what {sources[0]} does; see mpscnn "
            "compare --layers"
        )


def _parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
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


def _report(sources: list[Path], target: str, **reading: Any) -> None:
    """Write the report of layers that cannot be converted, even if there are none.

    `reading` are the named arguments of `read_network`.
    """
    from mpscnn.converters import read_network
    from mpscnn.converters.unsupported import UnsupportedLayersError, report

    try:
        text = report([], read_network(sources, **reading).notes)
    except UnsupportedLayersError as error:
        text = report(error.layers, [])
    if target == "-":
        show_as_is(text)
        return
    with replace_atomically(target, WeightsError) as file:
        file.write(text.encode())
