"""The command `mpscnn segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpscnn import registry
from mpscnn.apps.cli.arguments import (
    ChannelOrderOption,
    CsvOption,
    JsonLinesOption,
    ModelOption,
    PhotosArgument,
)
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint
from mpscnn.apps.cli.photo_options import for_each_photo, list_photos
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.apps.cli.ray_options import RayOption, show_cluster_results
from mpscnn.apps.cli.result_printer import ResultPrinter, head_line, output_format
from mpscnn.apps.cli.task import require_task
from mpscnn.apps.cli.video_options import (
    EveryOption,
    FromOption,
    ToOption,
    VideoInflightOption,
    show_frames,
    video_part,
)
from mpscnn.model import load
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.segmentation import Segmentation

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.apps.video.stream import VideoFrame
    from mpscnn.vision.photo import Photo


_DEFAULT = "deeplab_v3"


@add_options()
def segment(
    photos: PhotosArgument,
    model: ModelOption = _DEFAULT,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|VIDEO|FILE",
            help="Write each photo with its classes in colours as NAME_segments.png, and the class numbers of its "
            "pixels as NAME_labels.png. For a video: write a video in the same colours, such as out.mp4. With --ray: "
            "write the results to a .parquet, .jsonl or .csv file.",
        ),
    ] = None,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    channel_order: ChannelOrderOption = None,
    every: EveryOption = None,
    start: FromOption = None,
    end: ToOption = None,
    inflight: VideoInflightOption = None,
    cluster: RayOption = None,
    as_json: JsonLinesOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Find the class of each pixel of photos, or of a video's frames.

    The command prints the share of each class on each photo. The default model, deeplab_v3, knows 20 kinds of things.
    If it is not on this machine, it is downloaded once (`mpscnn models --fetch deeplab_v3` does only that).

    Example: mpscnn segment dog.jpg --output out/

    Example: mpscnn segment holiday/ --model deeplab.safetensors --json

    Example: mpscnn segment clip.mp4 --output out.mp4
    """
    form = output_format(as_json, as_csv)
    part = video_part(photos, every, start, end, inflight, channel_order, output)
    of_photos = cluster is None and part is None
    paths, failed = list_photos(photos) if of_photos else ([], 0)
    if of_photos and not paths:
        raise typer.Exit(FAILED if failed else 0)
    if model == _DEFAULT:
        _hint_download()
    loaded = load(model, **program.to_dict(), **runs.to_dict())
    require_task(loaded, model, "segmentation")
    printer = ResultPrinter(loaded, form, _lines)
    if cluster is not None:
        show_cluster_results(cluster, part, photos, loaded, printer, output, runs.threads, channel_order)
    elif part is not None:
        show_frames(part, loaded, printer, output, _frame_picture)
    else:
        folder = None if output is None else PictureFolder(output, paths)

        def segment_one(path: str, photo: Photo) -> None:
            result = loaded.segment(photo)
            written: dict[str, str] = {}
            if folder is not None:
                written["picture"] = str(folder.save(result.draw(photo), path, "_segments"))
                written["labels"] = str(folder.save(result.label_picture(), path, "_labels"))
            printer.show(path, result, written)

        failed += for_each_photo(paths, segment_one, printer.fail, channel_order)
    if failed:
        raise typer.Exit(FAILED)


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
