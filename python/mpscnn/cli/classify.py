"""`mpscnn classify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mpscnn.cli.arguments import (
    AUTO_DEVICE,
    DeviceOption,
    JsonLinesOption,
    ModelOption,
    PhotosArgument,
    Precision,
    PrecisionOption,
    ThreadsOption,
    load_model,
)
from mpscnn.cli.each_photo import for_each_photo, head_fields, head_line, listed_photos
from mpscnn.cli.failures import FAILED
from mpscnn.cli.picture_folder import PictureFolder
from mpscnn.model import Model
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.results import Classification

#: Below this the bundled model's best class is more likely wrong than right.
_UNLIKELY = 0.5
#: Classes below a photo.
_MOST_DRAWN = 20


def classify(
    photos: PhotosArgument,
    model: ModelOption = BUNDLED_MODEL.name,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many classes to print.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write NAME_classes.png, the photo with its classes below."),
    ] = None,
    precision: PrecisionOption = Precision.auto,
    as_json: JsonLinesOption = False,
) -> None:
    """Print the most probable classes of photos.

    Example: mpscnn classify cat.jpg

    Example: mpscnn classify holiday/ --model mobilenet_v2 --top 3 --json
    """
    paths, failures = listed_photos(photos)
    all_read = not failures
    if paths:
        loaded = load_model(model, device, precision, threads)
        folder = None if output is None else PictureFolder(output, paths)
        all_read = _classify_all(paths, loaded, top, folder, as_json) and all_read
    if not all_read:
        raise typer.Exit(FAILED)


def _classify_all(
    paths: list[str], model: Model, top: int, folder: PictureFolder | None, as_json: bool
) -> bool:
    """Prints what is seen on each photo. Returns whether all could be read; the others are reported."""
    line = json_line if as_json else _text
    failed = print_predictions(paths, model, top, line, folder, "_classes")
    if _is_bundled(model) and not as_json and failed < len(paths):
        print(_about_bundled(model))
    return failed == 0


def print_predictions(
    paths: list[str],
    model: Model,
    top: int,
    line: Callable[[str, Model, Classification, dict[str, str]], str],
    folder: PictureFolder | None,
    suffix: str,
) -> int:
    """Prints `line(path, model, result, files written)` for each photo, of which `folder` gets a picture.

    Returns how many photos failed; they are reported.
    """

    def classify_one(path: str) -> None:
        from mpscnn.photo import open_photo

        result = model.classify(open_photo(path), top=top)
        written: dict[str, str] = {}
        if folder is not None:
            written["picture"] = str(folder.save(result.draw(count=min(top, _MOST_DRAWN)), path, suffix))
        print(line(path, model, result, written), flush=True)

    return for_each_photo(paths, classify_one)


def json_line(path: str, model: Model, result: Classification, written: dict[str, str]) -> str:
    """A photo's classes for other programs."""
    return json.dumps(
        {
            **head_fields(path, model, result),
            "predictions": [
                {"label": entry.label, "index": entry.index, "probability": entry.probability}
                for entry in result
            ],
            **written,
        }
    )


def _text(path: str, model: Model, result: Classification, written: dict[str, str]) -> str:
    lines = [head_line(path, result)]
    lines += [f"  {entry.probability:6.1%}  {entry.label}" for entry in result]
    if _is_bundled(model) and result.predictions[0].probability < _UNLIKELY:
        lines.append("  None of its classes is likely.")
    lines += [f"  {file}" for file in written.values()]
    return "\n".join(lines)


def _is_bundled(model: Model) -> bool:
    return model.name == BUNDLED_MODEL.name


def _about_bundled(model: Model) -> str:
    labels = ", ".join(model.labels or [])
    return (
        f"{model.name} is a small model that knows {len(model.labels or [])} classes: {labels}.\n"
        f"For 1000 classes: mpscnn classify --model mobilenet_v2 PHOTO..."
    )
