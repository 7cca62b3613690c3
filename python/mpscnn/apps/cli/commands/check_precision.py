"""The command `mpscnn check-precision`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mpscnn.apps.cli.arguments import AUTO_DEVICE, CpuDeviceOption, JsonOption, ModelArgument, split_names
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.network_inputs import chosen_inputs, open_one_input, select_photos
from mpscnn.apps.cli.output import sentences, show, show_json, table_width
from mpscnn.apps.cli.sizes import SizeOption
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.opening_models import model_path
from mpscnn.registry import is_path

_AUTO = "auto"


def check_precision(
    model: ModelArgument,
    precision: Annotated[
        Literal["float16", "bfloat16"],
        typer.Option(help="Check this precision. For int8 use `mpscnn quantize`."),
    ] = "float16",
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Check with these photos, or folders of photos; default: random inputs.",
        ),
    ] = None,
    max_images: Annotated[int, typer.Option(min=1, metavar="N", help="Use at most N images.")] = 16,
    tolerance: Annotated[
        float, typer.Option(min=1e-9, metavar="SHARE", help="Allow this error of the network's results.")
    ] = 0.01,
    keep_float32: Annotated[
        str | None,
        typer.Option(
            metavar="auto|LAYER,...",
            help="Write a model that keeps these layers in float32 when it computes in float16. auto: the layers "
            "that this command finds.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.safetensors",
            help="Write the model to this file; default: the given file, which needs --overwrite.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    device: CpuDeviceOption = AUTO_DEVICE,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a lower precision changes the results of each layer of a network.

    Use it when a model loses accuracy in a lower precision, to see which layers to keep in float32. To choose a
    precision, use compare-precisions.

    The table shows for each layer the largest magnitude, the number of results that overflow, the share of results so
    small that they lose digits, and two errors against float32: the error in the whole network, and that of the layer
    alone. The exit code is 1 if the network's error is above the tolerance, unless --keep-float32 is given.

    Example: mpscnn check-precision mobilenet_v2 --images photos/

    Example: mpscnn check-precision model.safetensors --keep-float32 auto --overwrite
    """
    from mpscnn import comparison

    if keep_float32 is not None and precision != "float16":
        raise typer.BadParameter(
            f"layers are kept in float32 in float16 only, not in {precision}", param_hint="--keep-float32"
        )
    path = Path(model_path(model))
    network = open_one_input(model, size, "; a network with one can be checked").network
    named = None if keep_float32 is None or keep_float32 == _AUTO else split_names(keep_float32)
    for name in named or []:
        network[name]  # raises an error for an unknown layer
    target = _target(model, path, output) if keep_float32 is not None else None
    require_new(overwrite, target)
    found = comparison.check_precision(
        network,
        chosen_inputs(network, select_photos(images, max_images) if images else [], size),
        precision=precision,
        tolerance=tolerance,
        device="cpu" if device == AUTO_DEVICE else device,
    )
    if as_json:
        show_json(found.to_dict())
    else:
        show(*found.table(width=table_width()).split("\n"), "", *sentences(found.verdict()))
    if target is not None:
        names = list(found.keep) if named is None else named
        network.keep_float32(names)
        _write(network, path, target)
        if not as_json:
            show(f"{target}: keeps {len(names)} layers in float32")
    elif found.error > tolerance:
        raise typer.Exit(FAILED)


def _target(model: str, path: Path, output: Path | None) -> Path:
    if output is not None:
        return output
    if not is_path(model) or Path(model) != path:
        raise ParameterError(f"{model} is not the path of a model file: name the changed file with --output")
    return path


def _write(network: Network, path: Path, target: Path) -> None:
    from mpscnn.graph.model_file import change_metadata

    change_metadata(path, target, {"mpscnn.graph": network.graph.to_json()})
