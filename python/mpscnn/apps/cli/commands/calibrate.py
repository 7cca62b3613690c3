"""The command `mpscnn calibrate`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.apps.cli.arguments import InflightOption, JsonOption, ModelOption
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import report, show, show_json
from mpscnn.errors import Error
from mpscnn.model import Model, load
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.result_rows import photo_error_text

#: The shares of photos for which the command prints the lowest probability in a set.
_COVERAGES = (0.9, 0.95, 0.98)


@add_options()
def calibrate(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Photos that the model was not trained on: a folder with a folder of them for each class, or with "
            "--annotations a folder of photos.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE.safetensors", help="Write the calibrated model to FILE."
        ),
    ],
    model: ModelOption = BUNDLED_MODEL.name,
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="PLACE", help="For a detector: read the objects on the photos, as mpscnn evaluate does."
        ),
    ] = None,
    wanted_precision: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="For a detector: choose the lowest score threshold with which this share of the found objects is "
            "right, such as 0.95.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    inflight: InflightOption = 3,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labelled photos, so that its results say how far they can be trusted.

    A classifier stays the same network. Its results say how unfamiliar a photo is: the share of the photos in DIR
    that are less unusual. The right class is in a set of classes for a chosen share of photos: all classes from the
    printed probability on.

    A detector gets the score threshold with which a wanted share of the found objects is right.

    Example: mpscnn calibrate val/ --model a.safetensors --annotations val.json --wanted-precision 0.95 -o b.safetensors

    Example: mpscnn calibrate val/ --model pets.safetensors --output calibrated.safetensors
    """
    if output.suffix.lower() != ".safetensors":
        raise typer.BadParameter(f"the name must end in .safetensors, got {output}", param_hint="--output")
    require_new(overwrite, output)
    failures: list[Error] = []

    def failed(photo: object, error: Error) -> None:
        report(photo_error_text(str(photo), error))
        failures.append(error)

    loaded = load(model, **program.to_dict(), **runs.to_dict())
    loaded.calibrate(
        folder, annotations=annotations, precision=wanted_precision, inflight=inflight, failed=failed
    ).save(output)
    if loaded.calibration is None:
        _show_threshold(loaded, output, as_json)
    else:
        _show_sets(loaded.name, loaded.calibration.probabilities, output, as_json)
    if failures:
        raise typer.Exit(FAILED)


def _show_threshold(model: Model, output: Path, as_json: bool) -> None:
    least = model._score_threshold
    if as_json:
        show_json({"model": model.name, "score_threshold": least, "output": str(output)})
    else:
        show(f"{model.name} shows objects with a score of at least {least:.1%}: {output}")


def _show_sets(name: str, right: NDArray[np.float32], output: Path, as_json: bool) -> None:
    thresholds = {coverage: _core.set_threshold(right, coverage) for coverage in _COVERAGES}
    if as_json:
        found = {f"{share}": None if math.isinf(least) else least for share, least in thresholds.items()}
        show_json({"model": name, "photos": len(right), "thresholds": found, "output": str(output)})
    else:
        show(f"{name} is calibrated with {len(right):,} photos: {output}")
        for share, least in thresholds.items():
            classes = "all classes" if math.isinf(least) else f"the classes from {least:.1%} on"
            show(f"  a set for {share:.0%} of photos has {classes}")
