"""The command `mpscnn convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn._private.files import exists
from mpscnn._private.names import did_you_mean
from mpscnn.apps.cli.checked_output import (
    COREAI_SUFFIX,
    COREML_SUFFIXES,
    ONNX_SUFFIX,
    TFLITE_SUFFIX,
    write_coreai,
    write_coreml,
    write_onnx,
    write_tflite,
)
from mpscnn.apps.cli.convert_options import OPTIONS, Conversion, ConvertOptions
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.hub_sources import local_sources
from mpscnn.apps.cli.model_output import write_model
from mpscnn.apps.cli.option_groups import add_options
from mpscnn.apps.cli.written_network import write_report

#: The suffixes of the files that are written.
_SUFFIXES = (".safetensors", ONNX_SUFFIX, TFLITE_SUFFIX, *COREML_SUFFIXES, COREAI_SUFFIX)


@add_options()
def convert(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="The file to convert, then the .safetensors, .onnx, .tflite, .mlpackage, .mlmodel or .aimodel file to "
            "write unless --output gives it. Several files to convert are parts of one network, in order. A folder is "
            "a SavedModel, a .mlpackage, .mlmodelc or .aimodel, or holds Deep MNIST's eight raw files. "
            "hf://OWNER/NAME[@REVISION][/FILE] is a file of the Hugging Face hub.",
        ),
    ],
    written: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write this .safetensors, .onnx, .tflite, .mlpackage, .mlmodel or .aimodel file.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    options: ConvertOptions = OPTIONS,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a report of the layers that cannot be converted, why, and what to do ('-': to the "
            "terminal). The file to write may then be missing.",
        ),
    ] = None,
) -> None:
    """Convert models of other frameworks to model files, or to ONNX, TensorFlow Lite, Core ML and Core AI.

    The raw files of Deep MNIST are read, too.

    The result is compared layer by layer with the file on its own engine, where that is installed. If they differ,
    nothing is written, and the exit code is 3. With --force the result is written anyway.

    Several files are joined: each takes the outputs of the one before as its input.

    Example: mpscnn convert model.tflite --output model.safetensors --labels labels.txt

    Example: mpscnn convert model.onnx model.safetensors --preprocess torchvision

    Example: mpscnn convert model.safetensors model.onnx

    Example: mpscnn convert model.safetensors model.tflite

    Example: mpscnn convert model.safetensors model.mlpackage --target iOS16

    Example: mpscnn convert model.onnx model.aimodel

    Example: mpscnn convert model.onnx --report -

    Example: mpscnn convert resnet18.pth model.safetensors --labels imagenet.txt

    Example: mpscnn convert body.tflite head.tflite model.safetensors

    Example: mpscnn convert version-slim-320.onnx faces.safetensors --detection ultraface

    Example: mpscnn convert weights/ deep_mnist.safetensors --preprocess mnist
    """
    if written is not None:
        paths = [*paths, written]
    only_report = report is not None and len(paths) == 1
    *sources, output = [*paths, paths[0]] if only_report else paths
    sources, record = local_sources(sources)
    given = Conversion(sources=sources, output=output, record=record, **vars(options))
    if not only_report:
        _require_output(given)
        require_new(overwrite, output)
    if report is not None:
        require_new(overwrite, None if report == "-" else Path(report))
        write_report(given, report)
    if only_report:
        return
    suffix = output.suffix.lower()
    if suffix in COREML_SUFFIXES:
        write_coreml(given)
    elif suffix == COREAI_SUFFIX:
        write_coreai(given)
    elif suffix == ONNX_SUFFIX:
        write_onnx(given)
    elif suffix == TFLITE_SUFFIX:
        write_tflite(given)
    else:
        write_model(given)


def _lead_of(suffix: str) -> str:
    """Return a hint for a suffix that is not written."""
    if suffix in (".mlmodelc", ".coreml"):
        return "; write an .mlpackage, which Xcode compiles to an .mlmodelc for the app"
    return did_you_mean(suffix, _SUFFIXES)


def _require_output(given: Conversion) -> None:
    """Refuse a file that cannot be written, and options that have no meaning for it."""
    output, suffix = given.output, given.output.suffix.lower()
    if not given.sources:
        raise typer.BadParameter(
            f"expected the file to write after {output}, such as {output.stem}.mlpackage, {output.stem}.tflite or "
            f"{output.stem}.onnx",
            param_hint="FILE",
        )
    if any(exists(output) and exists(source) and output.samefile(source) for source in given.sources):
        raise typer.BadParameter(f"{output} is a file to read, too: give another name", param_hint="OUT")
    if suffix not in _SUFFIXES:
        raise typer.BadParameter(
            f"the name must end in {', '.join(_SUFFIXES)}, got {output}{_lead_of(suffix)}",
            param_hint="OUT",
        )
    for name, suffixes, what in (
        ("target", COREML_SUFFIXES, "only Core ML models have a target"),
        ("palette", COREML_SUFFIXES, "only Core ML models have palettes"),
        ("layout", (ONNX_SUFFIX,), "only ONNX files have a choice of the order of axes"),
        ("image_input", (COREAI_SUFFIX,), "only Core AI assets have a choice of the input"),
        (
            "suppression",
            (ONNX_SUFFIX,),
            "only ONNX files have a choice of it; Core ML and TensorFlow Lite files of detectors have it",
        ),
    ):
        if getattr(given, name) not in (None, False) and suffix not in suffixes:
            raise typer.BadParameter(what, param_hint=f"--{name.replace('_', '-')}")
