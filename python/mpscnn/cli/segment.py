"""`mpscnn segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from mpscnn.vision.segmentation import Segmentation

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo


def segment(
    photos: PhotosArgument,
    model: ModelOption = "deeplab_v3",
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write NAME_segments.png, the photo with its classes in colours and a legend, and NAME_labels.png, "
            "whose pixels are class numbers.",
        ),
    ] = None,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    max_memory: MaxMemoryOption = None,
    precision: PrecisionOption = Precision.auto,
    channel_order: ChannelOrderOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Find out which class each pixel of photos belongs to.

    Prints how much of each photo belongs to which class.

    Example: mpscnn segment dog.jpg --output out/

    Example: mpscnn segment holiday/ --model deeplab.safetensors --json
    """
    paths, failed = listed_photos(photos)
    if paths:
        loaded = load_model(model, device, precision, threads, max_memory)
        folder = None if output is None else PictureFolder(output, paths)
        failed += for_each_photo(
            paths, lambda path, photo: _segment(path, photo, loaded, folder, as_json), channel_order
        )
    if failed:
        raise typer.Exit(FAILED)


def _segment(path: str, photo: Photo, model: Model, folder: PictureFolder | None, as_json: bool) -> None:
    result = model.segment(photo)
    written: dict[str, str] = {}
    if folder is not None:
        written["picture"] = str(folder.save(result.draw(photo), path, "_segments"))
        written["labels"] = str(folder.save(result.label_picture(), path, "_labels"))
    if as_json:
        show_json(_fields(path, model, result, written))
    else:
        show(*_lines(path, result, written))


def _fields(path: str, model: Model, result: Segmentation, written: dict[str, str]) -> dict[str, Any]:
    height, width = result.labels.shape
    return {
        **head_fields(path, model, result),
        "width": width,
        "height": height,
        "areas": [
            {"label": area.label, "index": area.index, "pixels": area.pixels, "fraction": area.fraction}
            for area in result.areas
        ],
        **written,
    }


def _lines(path: str, result: Segmentation, written: dict[str, str]) -> list[str]:
    lines = [head_line(path, result)]
    lines += [f"  {area.fraction:6.1%}  {area.label}" for area in result.areas]
    lines += [f"  {file}" for file in written.values()]
    return lines
