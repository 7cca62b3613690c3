"""`mpscnn convert`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from mpscnn._private.summary import bytes_text
from mpscnn.cli.failures import FAILED
from mpscnn.cli.info import SizeOption
from mpscnn.cli.output import show, warn
from mpscnn.graph.network import Network


class WeightType(str, Enum):
    """Values of --dtype."""

    float16 = "float16"
    float32 = "float32"
    uint8 = "uint8"


def convert(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="The file to convert (or the parts of a network in order; or the folder of Deep MNIST's eight "
            "raw files), then the .safetensors file to write.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Class names, one per line, in the order of the outputs."),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How photos become the input: tensorflow (-1 to 1), caffe, torch, unit, none, mnist. Needed where the "
            "file does not say; files with an input of 8-bit integers do.",
        ),
    ] = None,
    detection: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Of a detector that ends in raw boxes and scores: how they become boxes, as docs/detection.md says.",
        ),
    ] = None,
    dtype: Annotated[
        WeightType, typer.Option(help="How weights are stored; uint8 keeps the integers of quantised files.")
    ] = WeightType.float16,
    size: SizeOption = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare the result with the file on its own engine.")
    ] = True,
) -> None:
    """Convert TensorFlow Lite models, and the raw files of Deep MNIST, to model files.

    The result is compared layer by layer with the file on its own engine, where that is installed; the exit code is 1
    if they differ.

    Several files are joined: each takes the outputs of the one before as its input.

    Example: mpscnn convert model.tflite model.safetensors --labels labels.txt

    Example: mpscnn convert body.tflite head.tflite model.safetensors

    Example: mpscnn convert weights/ deep_mnist.safetensors --preprocess mnist
    """
    if len(paths) < 2:
        raise typer.BadParameter(
            "expected at least one file to read, and the file to write", param_hint="IN... OUT"
        )
    from mpscnn.converters import convert_files
    from mpscnn.converters.photo_input import takes_photos

    *sources, output = paths
    network = convert_files(
        sources,
        output,
        labels=labels,
        preprocess=preprocess,
        dtype=dtype.value,
        detection=detection,
        size=size,
    )
    if network.preprocess is None and takes_photos(network):
        warn(
            f"{sources[0]} does not say how a photo becomes the network's input, so {output} cannot be used with "
            "photos; for photos convert it with --preprocess NAME (mpscnn convert --help)"
        )
    description = network.describe(_any_size(network))
    parameters = sum(layer["parameters"] for layer in description["layers"])
    show(
        f"{output}: {network.name}, {len(description['layers'])} layers, {parameters:,} parameters, "
        f"{bytes_text(output.stat().st_size)} ({dtype.value})"
    )
    if check:
        from mpscnn.comparison.proof import prove

        found, verdict = prove(network, sources, size or _any_size(network))
        show(verdict)
        # In 8-bit integers the file itself computes something else than its real numbers say.
        if found is not None and not found.equal and not found.by_norm:
            warn(
                f"{output} is written, but does not compute what {sources[0]} does; see mpscnn compare --layers"
            )
            raise typer.Exit(FAILED)


def _any_size(network: Network) -> tuple[int, int] | None:
    """A size to count layers with where the network leaves its own free."""
    free = any(len(tensor.shape) == 4 and None in tensor.shape[1:3] for tensor in network.inputs)
    return (224, 224) if free else None
