"""The command `mpscnn quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn._private.files import require_replaceable
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.arguments import JsonOption, ModelArgument, split_names
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.network_inputs import (
    open_one_input,
    preprocess_photos,
    select_photos,
    true_classes,
)
from mpscnn.apps.cli.output import hint, sentences, show, show_json, table_width
from mpscnn.apps.cli.sizes import SizeOption
from mpscnn.errors import ParameterError, WeightsError

_FEW = 32  # fewer photos than this make ranges unreliable


def quantize(
    model: ModelArgument,
    images: Annotated[
        list[str],
        typer.Option(
            "--images",
            metavar="DIR",
            help="Determine the ranges of the integers with typical photos for the model, or folders of "
            "them: a few hundred.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.safetensors",
            help="Write the model to this file; default: MODEL_int8.safetensors in the current folder.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    test_images: Annotated[
        list[str] | None,
        typer.Option(
            "--test-images",
            metavar="DIR",
            help="Compare the answers of both models on other photos; default: those of --images. If they "
            "are in folders named like the model's classes, the accuracy is printed, too.",
        ),
    ] = None,
    keep_float32: Annotated[
        str,
        typer.Option(
            "--keep-float32",
            metavar="LAYER,...",
            help="Keep these layers in float32, for example those with the largest errors. Layers that "
            "integers cannot compute are kept anyway.",
        ),
    ] = "",
    loss: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            metavar="POINTS",
            help="Keep the fewest layers in float32 so that at most so many points are lost on the photos, such as "
            "0.5: of the accuracy in percent, or of the answers that stay the same if the classes are not known.",
        ),
    ] = None,
    epochs: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Train the quantised model with the photos of --images, each of them N times. It learns the float "
            "model's results, so the photos need no classes.",
        ),
    ] = 0,
    max_images: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Use at most N images for the calibration and the training."),
    ] = 256,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Quantise a model: 8-bit integers instead of floats, a quarter of the size in float32.

    The new model runs with --precision int8. The command prints how often both models give the same answer, the
    accuracy if the classes of the photos are known, and the layers with the largest errors.

    Example: mpscnn quantize cifar10_mobilenet_v2 --images photos/

    --loss chooses the layers that stay in float32: it measures what each layer alone does to the results, and keeps
    as few layers as possible.

    Example: mpscnn quantize cifar10_mobilenet_v2 --images photos/ --loss 0.5

    --epochs trains the model with the integers in which it will run. If --loss then still needs layers in float32, it
    chooses them for the untrained model, and the model with these layers is trained.

    Example: mpscnn quantize cifar10_mobilenet_v2 --images photos/ --test-images others/ --epochs 2 --max-images 1000
    """
    from mpscnn.quantization import quantize as quantized
    from mpscnn.quantization.post_training import require_quantizable

    network, information, was_calibrated = open_one_input(
        model, size, ", but photos are one input; mpscnn.quantize takes arrays for each"
    )
    target = output or Path(f"{Path(model).stem}_int8.safetensors")
    kept = split_names(keep_float32)
    if target.suffix != ".safetensors":
        raise ParameterError(
            f"{target}: the name of the output must end in .safetensors; mpscnn convert then writes other formats, and "
            "`mpscnn convert MODEL FILE.mlpackage --dtype uint8` 8-bit weights for Core ML"
        )
    require_new(overwrite, target)
    quantizable = require_quantizable(network, kept)
    if quantizable.refused:
        operations = {node["name"]: node["operation"] for node in quantizable.network.to_dict()["nodes"]}
        names = ", ".join(f"{name} ({operations[name]})" for name in quantizable.refused)
        hint(f"stays in float32, as integers do not have it: {names}")
    require_replaceable(target, WeightsError)
    paths = select_photos(images, max_images)
    tested = select_photos(test_images, None, option="--test-images") if test_images else paths
    given = preprocess_photos(network, paths, size)
    result, report = quantized(
        network,
        given,
        test_images=preprocess_photos(network, tested, size) if test_images else given,
        keep_float32=kept,
        loss=loss,
        epochs=epochs,
        test_classes=true_classes(tested, network.labels or []),
    )
    result.save(target, information=information or None)
    if was_calibrated:
        hint(
            f"{target} has no calibration, since integers round what that of {model} was measured with: "
            f"mpscnn calibrate DIR --model {target} --precision int8 --output FILE"
        )
    if as_json:
        if report.training_left_out:  # the verdict says it otherwise
            hint("training did not reduce the error, and is left out")
        show_json(report.to_dict() | {"output": str(target), "bytes": target.stat().st_size})
        return
    show(f"{report.name}: the layers that lose most", "")
    show(*report.table(width=table_width()).split("\n"), "", *sentences(report.verdict()))
    if report.promised:
        show("", f"kept in float32 to lose at most {loss:g} points, with their effect on the results:")
        show(*(f"  {layer.name} ({layer.operation}): {layer.effect:.2g}" for layer in report.promised))
    if len(paths) < _FEW:
        hint(
            f"{len(paths)} photo{'s say' if len(paths) > 1 else ' says'} little about ranges: a few hundred are better"
        )
    show(f"{target}: {bytes_text(target.stat().st_size)}; it runs with --precision int8")
    hint(
        "mpscnn convert writes its integers to .onnx and .tflite. In .mlpackage only the weights have 8 bits, so for "
        f"an app convert {model} with --dtype uint8 instead"
    )
