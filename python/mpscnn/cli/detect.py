"""`mpscnn detect`."""

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
from mpscnn.vision.detection import Detections

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo


def _above_zero(value: float | None) -> float | None:
    if value is not None and not value > 0.0:
        raise typer.BadParameter(f"must be above 0, got {value}")
    return value


def detect(
    photos: PhotosArgument,
    model: ModelOption,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            max=1.0,
            callback=_above_zero,
            help="Leave out what is less probable, above 0 up to 1; default: as the model says.",
            show_default=False,
        ),
    ] = None,
    iou_threshold: Annotated[
        float | None,
        typer.Option(
            max=1.0,
            callback=_above_zero,
            help="Count boxes of a class that overlap by more (intersection / union) as one; default: as in the model.",
            show_default=False,
        ),
    ] = None,
    max_detections: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="At most so many; default: as the model says.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write NAME_detections.png, the photo with boxes and labels."),
    ] = None,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    max_memory: MaxMemoryOption = None,
    precision: PrecisionOption = Precision.auto,
    channel_order: ChannelOrderOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Find objects on photos.

    Prints class, probability and box of each: left, top, right and bottom edge in pixels of the photo as seen.

    Example: mpscnn detect street.jpg --model ssdlite.safetensors --output out/

    Example: mpscnn detect holiday/ --model ssdlite.safetensors --score-threshold 0.5 --json
    """
    paths, failed = listed_photos(photos)
    if paths:
        loaded = load_model(model, device, precision, threads, max_memory)
        folder = None if output is None else PictureFolder(output, paths)
        limits = {
            "score_threshold": score_threshold,
            "iou_threshold": iou_threshold,
            "max_detections": max_detections,
        }
        failed += for_each_photo(
            paths, lambda path, photo: _detect(path, photo, loaded, limits, folder, as_json), channel_order
        )
    if failed:
        raise typer.Exit(FAILED)


def _detect(
    path: str, photo: Photo, model: Model, limits: dict[str, Any], folder: PictureFolder | None, as_json: bool
) -> None:
    result = model.detect(photo, **limits)
    written: dict[str, str] = {}
    if folder is not None:
        written["picture"] = str(folder.save(result.draw(photo), path, "_detections"))
    if as_json:
        show_json(_fields(path, model, result, written))
    else:
        show(*_lines(path, result, written))


def _fields(path: str, model: Model, result: Detections, written: dict[str, str]) -> dict[str, Any]:
    width, height = result.photo_size
    return {
        **head_fields(path, model, result),
        "width": width,
        "height": height,
        "detections": [
            {
                "label": entry.label,
                "index": entry.index,
                "score": entry.score,
                "box": [round(edge, 2) for edge in entry.box],
            }
            for entry in result
        ],
        **written,
    }


def _lines(path: str, result: Detections, written: dict[str, str]) -> list[str]:
    lines = [head_line(path, result)]
    for entry in result:
        edges = "  ".join(f"{round(edge):4d}" for edge in entry.box)
        lines.append(f"  {entry.score:6.1%}  {edges}  {entry.label}")
    if not result:
        lines.append("  nothing found")
    lines += [f"  {file}" for file in written.values()]
    return lines
