"""The command `mpscnn compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn.apps.cli.arguments import JsonOption
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import sentences, show, show_json, table_width
from mpscnn.apps.cli.sizes import SizeOption

_SIDE = "A name or file. Files .onnx, .tflite, .keras, .h5 and .pb run on their own engines. "


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help=_SIDE + "Add @cpu, @metal, @float16 or @bfloat16 to run it in mpscnn."
        ),
    ],
    second: Annotated[
        str,
        typer.Argument(metavar="B", help="The model to compare it with, in the same form; or A@onnxruntime."),
    ],
    given: Annotated[
        str, typer.Option("--input", metavar="PHOTO|random|FILE.npy", help="Use this input for both.")
    ] = "random",
    layers: Annotated[bool, typer.Option("--layers", help="List all layers, not only outputs.")] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SHARE",
            help="Count errors up to this share of a layer's largest magnitude as equal.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.png",
            help="Draw the error of every layer, or write the table to FILE.html, FILE.csv or FILE.json.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two models, files, engines or precisions on the same input, layer by layer.

    Use it when two of them disagree, to find the layer from which on they do.

    The command prints the first layer that differs. It matches the layers of both sides by name, structure and values.
    The exit code is 1 if a layer differs, or if an output of one side has no counterpart on the other.

    Example: mpscnn compare model.safetensors model.onnx --layers

    Example: mpscnn compare mobilenet_v2 mobilenet_v2@float16 --input cat.jpg
    """
    from mpscnn.comparison import compare as run

    require_new(overwrite, output)
    found = run(first, second, input=given, tolerance=tolerance, size=size)
    if output is not None:
        found.save(output)
    if as_json:
        show_json(found.to_dict())
    else:
        difference = found.first_difference
        listed = [layer for layer in found.layers if layers or layer.output or layer is difference]
        show(*sentences(f"first:  {found.first}", f"second: {found.second}"), "")
        show(*found.table(listed, width=table_width()).split("\n"), "", *sentences(found.verdict()))
    if not found.equal:
        raise typer.Exit(FAILED)
