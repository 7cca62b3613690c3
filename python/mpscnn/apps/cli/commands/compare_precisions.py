"""The command `mpscnn compare-precisions`."""

from __future__ import annotations

from typing import Annotated

import typer

from mpscnn.apps.cli.arguments import AUTO_DEVICE, CpuDeviceOption, JsonOption, ModelArgument
from mpscnn.apps.cli.network_inputs import chosen_inputs, open_one_input, select_photos, true_classes
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint, sentences, show, show_json, table_width
from mpscnn.apps.cli.sizes import SizeOption
from mpscnn.runtime.options import CompileOptions, RunOptions


@add_options(only=("accumulate_dtype", "threads"))
def compare_precisions(
    model: ModelArgument,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Compare on these photos, or folders of photos. If all lie in folders named like the "
            "model's classes, the table shows the accuracy, too.",
        ),
    ] = None,
    max_images: Annotated[int, typer.Option(min=1, metavar="N", help="Use at most N images.")] = 64,
    runs: Annotated[int, typer.Option(min=1, metavar="N", help="Time N runs of each precision.")] = 20,
    device: CpuDeviceOption = AUTO_DEVICE,
    program: CompileOptions = COMPILE,
    session: RunOptions = RUN,
    size: SizeOption = None,
    within: Annotated[
        float | None,
        typer.Option(
            "--within",
            min=0.0,
            metavar="ERROR",
            help="Say below the table which precision is the fastest with at most this error.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare all precisions of a model by error, accuracy, time and memory.

    Use it to choose a precision. To see what a precision does to each layer, use check-precision.

    The table shows for each precision the error against float32, how often the best class is the same, the accuracy if
    the classes of the photos are known, the time, the memory, and a fingerprint of the outputs for fixed inputs. It
    also shows float32 and float16 with 8-bit weights. With --accumulate-dtype float16 it adds float16 with sums in
    float16.

    Example: mpscnn compare-precisions mobilenet_v2 --images photos/
    """
    from mpscnn import comparison

    network = open_one_input(model, size, "; a network with one can be compared").network
    paths = select_photos(images, max_images) if images else []
    found = comparison.compare_precisions(
        network,
        chosen_inputs(network, paths, size),
        classes=true_classes(paths, network.labels or []),
        accumulate_dtype=program.accumulate_dtype,
        device="cpu" if device == AUTO_DEVICE else device,
        threads=None if session.threads == "auto" else session.threads,
        runs=runs,
    )
    if as_json:
        show_json(found.to_dict())
        return
    kind = "photo" if paths else "random input"
    count = f"{found.images} {kind}{'' if found.images == 1 else 's'}"
    show(*sentences(f"{found.name} on {found.device}, {count}"), "")
    show(*found.table(width=table_width()).split("\n"))
    if within is not None:
        chosen = found.fastest(within)
        given = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in chosen.options.items())
        show("", f"The fastest with an error of at most {within:g}: {given}")
    if not paths:
        hint("on random inputs, which no model has learned: give photos by --images")
