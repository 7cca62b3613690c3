"""The command `mpscnn profile`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn.apps.benchmark import Subject
from mpscnn.apps.cli.arguments import JsonOption, ModelArgument
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import show, show_json, table_width
from mpscnn.apps.cli.sizes import RandomWeightsOption, SizeOption, open_with_size
from mpscnn.errors import ParameterError
from mpscnn.opening_models import model_path, open_model
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.runtime.profile import Profile, ProfileStep
from mpscnn.vision.preprocessing import preprocess

_RANDOM = "random"


Order = Literal["order", "time", "lost"]


@add_options()
def profile(
    model: ModelArgument,
    size: SizeOption = None,
    program: CompileOptions = COMPILE,
    session: RunOptions = RUN,
    runs: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Measure N runs.")] = 20,
    photo: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="PHOTO",
            help="Run on a photo with the model's preprocessing, or on random numbers.",
        ),
    ] = _RANDOM,
    sort: Annotated[
        Order,
        typer.Option(help="Sort the steps as they run, by time, or by the time lost against the FMA peak."),
    ] = "order",
    random_weights: RandomWeightsOption = False,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the fastest run for chrome://tracing or Perfetto, too."),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the time of each step of a network, its kernel, and its share of the processor's peak.

    Each time is the minimum of all runs. "% of peak" is relative to the measured speed of fused multiply-adds (FMA)
    alone. The last table sums the times by kernel.

    Example: mpscnn profile mobilenet_v2 --threads 1 --sort time
    """
    require_new(overwrite, trace)
    subject = open_with_size(model, size, random_weights=random_weights)
    x = subject.random_input() if photo == _RANDOM else _prepared(model, subject, photo, random_weights)
    compiled = subject.network.compile(**program.to_dict())
    result = compiled.session(**session.to_dict()).profile(x, runs=runs)
    if trace is not None:
        result.save_trace(trace)
    if as_json:
        show_json(json.loads(result.to_json()))
    else:
        show(*result.table(steps=_sorted(result, sort), width=table_width()).split("\n"))


def _prepared(model: str, subject: Subject, photo: str, random_weights: bool) -> NDArray[np.float32]:
    path = None if random_weights else Path(model_path(model))
    settings = None
    if path is not None and path.suffix.lower() != ".tflite":
        settings = json.loads(open_model(str(path)).describe())["preprocess"]
    if settings is None:
        raise ParameterError(f"{model} does not say how a photo becomes its input; leave out --input")
    _, height, width, channels = subject.input_shape
    return preprocess(photo, (height, width), settings, channels=channels)


def _sorted(result: Profile, order: Order) -> list[ProfileStep]:
    def lost(step: ProfileStep) -> float:
        return step.minimum if step.lost is None else step.lost

    if order == "time":
        return sorted(result.steps, key=lambda step: -step.minimum)
    if order == "lost":
        return sorted(result.steps, key=lambda step: -lost(step))
    return list(result.steps)
