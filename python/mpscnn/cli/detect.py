"""`mpscnn detect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mpscnn.cli.arguments import (
    AUTO_DEVICE,
    DeviceOption,
    PhotosArgument,
    Precision,
    PrecisionOption,
    ThreadsOption,
)
from mpscnn.cli.each_photo import for_each_photo
from mpscnn.cli.failures import FAILED, report
from mpscnn.cli.photo_list import photo_paths
from mpscnn.cli.picture_folder import PictureFolder
from mpscnn.detection import Detections
from mpscnn.model import Model, load


def detect(
    photos: PhotosArgument,
    model: Annotated[
        str, typer.Option(metavar="NAME_OR_FILE", help="Name (see `mpscnn models`) or model file.")
    ],
    score: Annotated[
        float | None,
        typer.Option(
            max=1.0,
            help="Leave out what is less probable, 0 to 1; default: as the model says.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write NAME_detections.png, the photo with boxes and labels."),
    ] = None,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    precision: PrecisionOption = Precision.auto,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per photo and line, and nothing else.")
    ] = False,
) -> None:
    """Find objects on photos.

    Prints class, probability and box of each: left, top, right and bottom edge in pixels of the photo as seen.

    Example: mpscnn detect street.jpg --model ssdlite.safetensors --output out/

    Example: mpscnn detect holiday/ --model ssdlite.safetensors --score 0.5 --json
    """
    paths, failures = photo_paths(photos)
    for failure in failures:
        report(failure)
    failed = len(failures)
    if paths:
        loaded = load(model, device=device, precision=precision.value, threads=threads or "auto")
        folder = None if output is None else PictureFolder(output, paths)
        failed += for_each_photo(paths, lambda path: _detect(path, loaded, score, folder, as_json))
    if failed:
        raise typer.Exit(FAILED)


def _detect(
    path: str, model: Model, score: float | None, folder: PictureFolder | None, as_json: bool
) -> None:
    from mpscnn.photo import open_photo

    photo = open_photo(path)
    result = model.detect(photo, score=score)
    written: dict[str, str] = {}
    if folder is not None:
        written["picture"] = str(folder.save(result.draw(photo), path, "_detections"))
    print(_json_line(path, model, result, written) if as_json else _text(path, result, written), flush=True)


def _json_line(path: str, model: Model, result: Detections, written: dict[str, str]) -> str:
    width, height = result.photo_size
    return json.dumps(
        {
            "image": path,
            "model": model.name,
            "device": result.device,
            "milliseconds": round(result.milliseconds, 3),
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
    )


def _text(path: str, result: Detections, written: dict[str, str]) -> str:
    lines = [f"{path}  ({result.milliseconds:.1f} ms, {result.device}, {result.precision})"]
    for entry in result:
        edges = "  ".join(f"{round(edge):4d}" for edge in entry.box)
        lines.append(f"  {entry.score:6.1%}  {edges}  {entry.label}")
    if not result:
        lines.append("  nothing found")
    lines += [f"  {file}" for file in written.values()]
    return "\n".join(lines)
