"""The command `mpscnn detect`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mpscnn import registry
from mpscnn._private.summary import prose, text_table
from mpscnn.apps.cli.arguments import (
    CsvOption,
    JsonLinesOption,
    OverlapOption,
    PhotosArgument,
    TilesOption,
    above_zero,
)
from mpscnn.apps.cli.existing_outputs import OverwriteOption
from mpscnn.apps.cli.failures import USAGE
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint, report, table_width
from mpscnn.apps.cli.photo_command import ShownTask, show_results
from mpscnn.apps.cli.result_printer import head_line, output_format
from mpscnn.apps.cli.video_options import FOLLOWING, Following
from mpscnn.model import Model, load
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.box import Box
from mpscnn.vision.detection import Detections
from mpscnn.vision.photo_tasks import detection_task
from mpscnn.vision.tracked_detections import TrackedDetections, counts_text

_INDENT = "  "


def _chosen(model: str | None) -> str:
    """Return the chosen model. Without one, raise an error that lists the detectors and what they find."""
    if model is not None:
        return model
    detectors = [entry for entry in registry.models() if entry.finds]
    width = max(len(entry.name) for entry in detectors)
    lines = [
        "The detectors are:",
        *(f"{_INDENT}{entry.name:<{width}}  {entry.finds}" for entry in detectors),
        "A model file is a detector, too: mpscnn convert --detection makes one of a file, and mpscnn train "
        "--task detect of photos.",
        f"Example: mpscnn detect PHOTO --model {detectors[-1].name}",
    ]
    report("say with --model what to find")
    terminal, indent = table_width(sys.stderr), " " * (len(_INDENT) + width + 2)
    hint(*(part for line in lines for part in prose(line, terminal, indent)))
    raise typer.Exit(USAGE)


@add_options()
def detect(
    photos: PhotosArgument,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME_OR_FILE",
            help="Use this detector: a name or a model file. Without it, the command lists all detectors and what "
            "they find.",
        ),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            "--score-threshold",
            "--threshold",
            "--conf",
            max=1.0,
            callback=above_zero,
            help="Omit objects with a lower probability, from 0 to 1; default: the model's.",
        ),
    ] = None,
    iou_threshold: Annotated[
        float | None,
        typer.Option(
            "--iou-threshold",
            "--iou",
            max=1.0,
            callback=above_zero,
            help="Omit a box whose overlap (intersection over union) with a more probable one of its class is larger; "
            "default: the model's.",
        ),
    ] = None,
    max_detections: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show at most N objects; default: the model's own.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Show only objects of these classes, by name or number; default: all."
        ),
    ] = None,
    tiles: TilesOption = None,
    overlap: OverlapOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|VIDEO|FILE",
            help="Write each photo with its boxes: into DIR as NAME_detections.png, or a single one to FILE.png. "
            "FILE.jsonl or FILE.csv: write the results there; if the command is ended, the same command continues. For "
            "a video: write a video, such as out.mp4. With --ray: FILE.parquet, too, and no pictures.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    reading: Following = FOLLOWING,
    as_json: JsonLinesOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Find objects on photos, or on a video's frames.

    The command prints class, probability and box of each object. A box has the left, top, right and bottom edge in
    pixels of the upright photo. Without --model it lists the detectors and what each finds. See docs/detection.md for
    other models.

    Example: mpscnn detect street.jpg --model ssd_mobilenet_v1_coco --output out/

    Example: mpscnn detect page.png --model page_digits

    Example: mpscnn detect large_page.png --model page_digits --tiles 400

    Example: mpscnn detect holiday/ --model ssdlite.safetensors --score-threshold 0.5 --classes person,dog --json

    Example: mpscnn detect camera:0 --model ssd_mobilenet_v1_coco

    Example: mpscnn detect street.mp4 --model ssd_mobilenet_v1_coco --track --count-line 0,360,1280,360
    """
    given = _chosen(model)
    options: dict[str, Any] = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "max_detections": max_detections,
        "classes": None if classes is None else [name.strip() for name in classes.split(",")],
        "tiles": tiles,
        "overlap": overlap,
    }
    pictures = {"picture": ("_detections", Detections.draw)}

    def opened() -> Model:
        """Load the model, and check the options once, not for each photo."""
        loaded = load(given, **program.to_dict(), **runs.to_dict())
        if loaded.task == "detection":
            detection_task(loaded, **options)
        return loaded

    show_results(
        ShownTask("detection", _lines, pictures, options=options),
        photos,
        reading,
        opened,
        given,
        output=output,
        overwrite=overwrite,
        form=output_format(as_json, as_csv),
        threads=runs.threads,
    )


def _lines(path: str, result: Detections) -> list[str]:
    counts = counts_text(result.counts) if isinstance(result, TrackedDetections) else ""
    end = [f"  crossed the line: {counts}"] if counts else []
    if not result:
        return [head_line(path, result), "  nothing found (a lower --score-threshold finds more)", *end]
    rows = [(entry.label, f"{entry.score:.1%}", *(f"{edge:.0f}" for edge in entry.box)) for entry in result]
    names: tuple[str, ...] = ("class", "score", *Box._fields)
    if isinstance(result, TrackedDetections):
        names, rows = (
            ("track", *names),
            [(str(one.track), *row) for one, row in zip(result, rows, strict=True)],
        )
    terminal = table_width()
    width = None if terminal is None else terminal - len(_INDENT)
    table = text_table(names, rows, right=range(1, len(names)), width=width)
    return [head_line(path, result), *(f"{_INDENT}{line}" for line in table.split("\n")), *end]
