"""`mpscnn classify`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mpscnn.cli.arguments import Device, DeviceOption, Precision, PrecisionOption, ThreadsOption
from mpscnn.cli.failures import FAILED, report
from mpscnn.cli.photo_list import photo_paths
from mpscnn.cli.progress import with_progress
from mpscnn.errors import ImageError, ParameterError, ShapeError
from mpscnn.model import Model, load
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.results import Classification

#: Below this the bundled model's best class is more likely wrong than right.
_UNLIKELY = 0.5


def classify(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO",
            help="Image files, and folders for the image files in them.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME_OR_FILE", help="Name (see `mpscnn models`) or model file.")
    ] = BUNDLED_MODEL.name,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many classes to print.")] = 5,
    precision: PrecisionOption = Precision.auto,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per photo and line, and nothing else.")
    ] = False,
) -> None:
    """Print the most probable classes of photos.

    Example: mpscnn classify cat.jpg

    Example: mpscnn classify holiday/ --model mobilenet_v2 --top 3 --json
    """
    paths, failures = photo_paths(photos)
    for failure in failures:
        report(failure)
    all_read = not failures
    if paths:
        loaded = load(model, device=device.value, precision=precision.value, threads=threads or "auto")
        all_read = _classify_all(paths, loaded, top, as_json) and all_read
    if not all_read:
        raise typer.Exit(FAILED)


def _classify_all(paths: list[str], model: Model, top: int, as_json: bool) -> bool:
    """Prints what is seen on each photo. Returns whether all could be read; the others are reported."""
    failed = 0
    with with_progress(paths) as tracked:
        for path in tracked:
            try:
                result = model.predict(path, top=top)
            except ImageError as error:
                report(error)
                failed += 1
            except (ParameterError, ShapeError) as error:
                report(f"{path}: {error}")  # the network does not know the photo's name
                failed += 1
            else:
                print(_json_line(path, model, result) if as_json else _text(path, model, result), flush=True)
    if _is_bundled(model) and not as_json and failed < len(paths):
        print(_about_bundled(model))
    return failed == 0


def _json_line(path: str, model: Model, result: Classification) -> str:
    return json.dumps(
        {
            "image": path,
            "model": model.name,
            "device": result.device,
            "milliseconds": round(result.milliseconds, 3),
            "predictions": [
                {"label": entry.label, "index": entry.index, "probability": entry.probability}
                for entry in result
            ],
        }
    )


def _text(path: str, model: Model, result: Classification) -> str:
    lines = [f"{path}  ({result.milliseconds:.1f} ms, {result.device}, {result.precision})"]
    lines += [f"  {entry.probability:6.1%}  {entry.label}" for entry in result]
    if _is_bundled(model) and result.predictions[0].probability < _UNLIKELY:
        lines.append("  None of its classes is likely.")
    return "\n".join(lines)


def _is_bundled(model: Model) -> bool:
    return model.name == BUNDLED_MODEL.name


def _about_bundled(model: Model) -> str:
    labels = ", ".join(model.labels or [])
    return (
        f"{model.name} is a small model that knows {len(model.labels or [])} classes: {labels}.\n"
        f"For 1000 classes: mpscnn classify --model mobilenet_v2 PHOTO..."
    )
