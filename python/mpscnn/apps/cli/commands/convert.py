"""The command `mpscnn convert`."""

from __future__ import annotations

import typer

from mpscnn._private.literals import StoredTypeName
from mpscnn.apps.cli.arguments import ScoresOption, split_names
from mpscnn.apps.cli.conversion_report import write_report
from mpscnn.apps.cli.convert_options import (
    ArchitectureOption,
    CheckOption,
    DetectionOption,
    DtypeOption,
    FilesArgument,
    FoldOption,
    ForceOption,
    LabelsOption,
    Layout,
    LayoutOption,
    OutputOption,
    OutputsOption,
    PaletteOption,
    PreprocessOption,
    ReportOption,
    ShapeOption,
    SignatureOption,
    TargetOption,
    parse_shape,
)
from mpscnn.apps.cli.coreml_output import COREML_SUFFIXES, write_coreml
from mpscnn.apps.cli.model_output import write_model
from mpscnn.apps.cli.onnx_output import ONNX_SUFFIX, write_onnx
from mpscnn.apps.cli.sizes import SizeOption
from mpscnn.apps.cli.tflite_output import TFLITE_SUFFIX, write_tflite
from mpscnn.apps.cli.written_network import Conversion


def convert(
    paths: FilesArgument,
    written: OutputOption = None,
    labels: LabelsOption = None,
    preprocess: PreprocessOption = None,
    detection: DetectionOption = None,
    scores: ScoresOption = None,
    dtype: DtypeOption = None,
    layout: LayoutOption = Layout.nchw,
    size: SizeOption = None,
    architecture: ArchitectureOption = None,
    signature: SignatureOption = None,
    fold: FoldOption = True,
    check: CheckOption = True,
    force: ForceOption = False,
    shape: ShapeOption = None,
    outputs: OutputsOption = None,
    target: TargetOption = None,
    palette: PaletteOption = None,
    report: ReportOption = None,
) -> None:
    """Convert models of other frameworks to model files, or to ONNX, TensorFlow Lite and Core ML.

    The raw files of Deep MNIST are read, too.

    The result is compared layer by layer with the file on its own engine, where that is installed. If they differ,
    nothing is written, and the exit code is 3. With --force the result is written anyway.

    Several files are joined: each takes the outputs of the one before as its input.

    Example: mpscnn convert model.tflite --output model.safetensors --labels labels.txt

    Example: mpscnn convert model.onnx model.safetensors --preprocess torchvision

    Example: mpscnn convert model.safetensors model.onnx

    Example: mpscnn convert model.safetensors model.tflite

    Example: mpscnn convert model.safetensors model.mlpackage --target iOS16

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
    given = Conversion(
        sources,
        output,
        size,
        dict(parse_shape(text) for text in shape or []),
        split_names(outputs or ""),
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
    if report is not None:
        write_report(given, report)
    if only_report:
        return
    if not sources:
        raise typer.BadParameter(
            "expected at least one file to read, and the file to write", param_hint="IN... OUT"
        )
    if any(output.exists() and source.exists() and output.samefile(source) for source in sources):
        raise typer.BadParameter(f"{output} is a file to read, too: give another name", param_hint="OUT")
    suffix = output.suffix.lower()
    weight_type: StoredTypeName | None = None if dtype is None else dtype.value
    if suffix in COREML_SUFFIXES:
        write_coreml(given, dtype=weight_type, palette=palette, target=target)
    elif suffix == ONNX_SUFFIX:
        write_onnx(given, dtype=weight_type, layout=layout.value)
    elif suffix == TFLITE_SUFFIX:
        write_tflite(given, dtype=weight_type)
    elif target is not None:
        raise typer.BadParameter("only Core ML models have a target", param_hint="--target")
    elif palette is not None:
        raise typer.BadParameter("only Core ML models have palettes", param_hint="--palette")
    else:
        write_model(given, dtype=weight_type)
