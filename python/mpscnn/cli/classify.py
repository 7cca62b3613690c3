"""`mpscnn classify`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpscnn.cli.arguments import (
    AUTO_DEVICE,
    ChannelOrderOption,
    DeviceOption,
    JsonLinesOption,
    MaxMemoryOption,
    ModelOption,
    PhotosArgument,
    Precision,
    PrecisionOption,
    ThreadsOption,
    load_model,
)
from mpscnn.cli.each_photo import for_each_photo, head_fields, head_line, listed_photos
from mpscnn.cli.failures import FAILED
from mpscnn.cli.output import show, show_json
from mpscnn.cli.picture_folder import PictureFolder
from mpscnn.model import Model
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.vision.results import Classification

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo

#: Below this the bundled model's best class is more likely wrong than right.
_UNLIKELY = 0.5
#: Classes below a photo.
_MOST_DRAWN = 20


def classify(
    photos: PhotosArgument,
    model: ModelOption = BUNDLED_MODEL.name,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    max_memory: MaxMemoryOption = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many classes to print.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write NAME_classes.png, the photo with its classes below."),
    ] = None,
    precision: PrecisionOption = Precision.auto,
    channel_order: ChannelOrderOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Print the most probable classes of photos.

    Example: mpscnn classify cat.jpg

    Example: mpscnn classify holiday/ --model mobilenet_v2 --top 3 --json
    """
    paths, failures = listed_photos(photos)
    all_read = not failures
    if paths:
        loaded = load_model(model, device, precision, threads, max_memory)
        folder = None if output is None else PictureFolder(output, paths)
        all_read = _classify_all(paths, loaded, top, folder, as_json, channel_order) and all_read
    if not all_read:
        raise typer.Exit(FAILED)


def _classify_all(
    paths: list[str],
    model: Model,
    top: int,
    folder: PictureFolder | None,
    as_json: bool,
    channel_order: str | None,
) -> bool:
    """Prints what is seen on each photo. Returns whether all could be read; the others are reported."""
    show_one = show_as_json if as_json else _show
    failed = show_predictions(paths, model, top, show_one, folder, "_classes", channel_order)
    if _is_bundled(model) and not as_json and failed < len(paths):
        show(*_about_bundled(model))
    return failed == 0


def show_predictions(
    paths: list[str],
    model: Model,
    top: int,
    show_one: Callable[[str, Model, Classification, dict[str, str]], None],
    folder: PictureFolder | None,
    suffix: str,
    channel_order: str | None = None,
) -> int:
    """Calls `show_one(path, model, result, files written)` for each photo, of which `folder` gets a picture.

    Returns how many photos failed; they are reported.
    """

    def classify_one(path: str, photo: Photo) -> None:
        result = model.classify(photo, top=top)
        written: dict[str, str] = {}
        if folder is not None:
            written["picture"] = str(folder.save(result.draw(count=min(top, _MOST_DRAWN)), path, suffix))
        show_one(path, model, result, written)

    return for_each_photo(paths, classify_one, channel_order)


def show_as_json(path: str, model: Model, result: Classification, written: dict[str, str]) -> None:
    """Prints a photo's classes for other programs."""
    show_json(
        {
            **head_fields(path, model, result),
            "predictions": [
                {"label": entry.label, "index": entry.index, "probability": entry.probability}
                for entry in result
            ],
            **written,
        }
    )


def _show(path: str, model: Model, result: Classification, written: dict[str, str]) -> None:
    lines = [head_line(path, result)]
    lines += [f"  {entry.probability:6.1%}  {entry.label}" for entry in result]
    if _is_bundled(model) and result.predictions[0].probability < _UNLIKELY:
        lines.append("  None of its classes is likely.")
    lines += [f"  {file}" for file in written.values()]
    show(*lines)


def _is_bundled(model: Model) -> bool:
    return model.name == BUNDLED_MODEL.name


def _about_bundled(model: Model) -> list[str]:
    labels = ", ".join(model.labels or [])
    return [
        f"{model.name} is a small model that knows {len(model.labels or [])} classes: {labels}.",
        "For 1000 classes: mpscnn classify --model mobilenet_v2 PHOTO...",
    ]
