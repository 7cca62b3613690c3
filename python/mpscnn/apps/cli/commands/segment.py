"""The command `mpscnn segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpscnn import registry
from mpscnn.apps.cli.arguments import (
    CsvOption,
    JsonLinesOption,
    ModelOption,
    OverlapOption,
    PhotosArgument,
    TilesOption,
)
from mpscnn.apps.cli.existing_outputs import OverwriteOption
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint
from mpscnn.apps.cli.photo_command import ShownTask, show_results
from mpscnn.apps.cli.result_printer import head_line, output_format
from mpscnn.apps.cli.video_options import READING, Reading
from mpscnn.model import Model, load
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.photo_tasks import segmentation_task
from mpscnn.vision.segmentation import Segmentation

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.apps.video.stream import VideoFrame

_DEFAULT = "deeplab_v3"


@add_options()
def segment(
    photos: PhotosArgument,
    model: ModelOption = _DEFAULT,
    tiles: TilesOption = None,
    overlap: OverlapOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|VIDEO|FILE",
            help="Write each photo with its classes in colours as NAME_segments.png, and the class numbers of its "
            "pixels as NAME_labels.png. FILE.jsonl or FILE.csv: write the results there; if the command is ended, the "
            "same command continues. For a video: write a video in the same colours, such as out.mp4. With --ray: "
            "FILE.parquet, too, and no pictures.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    reading: Reading = READING,
    as_json: JsonLinesOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Find the class of each pixel of photos, or of a video's frames.

    The command prints the share of each class on each photo. The default model, deeplab_v3, knows 20 kinds of things.
    If it is not on this machine, it is downloaded once (`mpscnn models --fetch deeplab_v3` does only that).

    Example: mpscnn segment dog.jpg --output out/

    Example: mpscnn segment street.jpg --tiles 600

    Example: mpscnn segment holiday/ --model deeplab.safetensors --json

    Example: mpscnn segment clip.mp4 --output out.mp4
    """
    options: dict[str, Any] = {"tiles": tiles, "overlap": overlap}

    def opened() -> Model:
        """Load the model, and check the options once, not for each photo."""
        if model == _DEFAULT:
            _hint_download()
        loaded = load(model, **program.to_dict(), **runs.to_dict())
        if loaded.task == "segmentation":
            segmentation_task(loaded, **options)
        return loaded

    pictures = {
        "picture": ("_segments", Segmentation.draw),
        "labels": ("_labels", lambda result, _: result.label_picture()),
    }
    show_results(
        ShownTask("segmentation", _lines, pictures, _frame_picture, options),
        photos,
        reading,
        opened,
        model,
        output=output,
        overwrite=overwrite,
        form=output_format(as_json, as_csv),
        threads=runs.threads,
    )


def _frame_picture(frame: VideoFrame, result: Segmentation) -> PillowImage.Image:
    """Draw a frame above a legend of fixed height.

    The number of classes varies, but all frames of a video have one size.
    """
    from PIL import Image

    height, width = result.labels.shape
    canvas = Image.new("RGB", (width, height + height // 4), "white")
    canvas.paste(result.draw(frame.photo))
    return canvas


def _hint_download() -> None:
    entry = next(entry for entry in registry.models() if entry.name == _DEFAULT)
    if entry.location() is None:
        hint(
            f"{_DEFAULT} is not on this machine. It is fetched once, {(entry.size or 0) / 1e6:.1f} MB from "
            f"{entry.publisher}; other models: --model FILE, such as one that mpscnn train --task segment makes."
        )


def _lines(path: str, result: Segmentation) -> list[str]:
    return [head_line(path, result), *(f"  {area.fraction:6.1%}  {area.label}" for area in result.areas)]
