"""The command `mpscnn classify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpscnn.apps.cli.arguments import (
    ChannelOrder,
    ChannelOrderOption,
    CsvOption,
    JsonLinesOption,
    ModelOption,
    PhotosArgument,
    ScoresOption,
)
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint
from mpscnn.apps.cli.photo_options import for_each_photo, list_photos
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.apps.cli.ray_options import RayOption, show_cluster_results
from mpscnn.apps.cli.result_printer import Form, ResultPrinter, head_line, output_format
from mpscnn.apps.cli.task import require_task
from mpscnn.apps.cli.video_options import (
    EveryOption,
    FromOption,
    ToOption,
    VideoInflightOption,
    show_frames,
    video_part,
)
from mpscnn.model import Model, load
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.results import Classification, score_text

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo

#: If the most probable class has a lower probability than this, the bundled model is wrong more often than right.
_UNLIKELY = 0.5
#: Remarks on the probabilities, by `Classification.scores_are`.
_MEANINGS = {
    "softmax": (),
    "sigmoid": ("independent probabilities",),
    "as is": ("the network's own scores",),
}
#: The maximum number of classes that a picture lists below the photo.
_MAX_DRAWN = 20


@add_options()
def classify(
    photos: PhotosArgument,
    model: ModelOption = BUNDLED_MODEL.name,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Print the K most probable classes.")] = 5,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|VIDEO|FILE",
            help="Write each photo with its classes below: into DIR as NAME_classes.png, or a single one to "
            "FILE.png. For a video: write a video, such as out.mp4. With --ray: write the results to a .parquet, "
            ".jsonl or .csv file.",
        ),
    ] = None,
    scores: ScoresOption = None,
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
    """Print the most probable classes of photos, or of a video's frames.

    Example: mpscnn classify cat.jpg

    Example: mpscnn classify holiday/ --model mobilenet_v2 --top 3 --json

    Example: mpscnn classify beach.jpg --model tags.onnx --scores sigmoid

    Example: mpscnn classify clip.mp4 --every 5 --output out.mp4
    """
    form = output_format(as_json, as_csv)
    part = video_part(photos, every, start, end, inflight, channel_order, output)
    of_photos = cluster is None and part is None
    paths, failed = list_photos(photos) if of_photos else ([], 0)
    if of_photos and not paths:
        raise typer.Exit(FAILED if failed else 0)
    loaded = load(model, scores=scores, **program.to_dict(), **runs.to_dict())
    require_task(loaded, model, "classification")
    # A trained model keeps the name of its network, so the value of --model decides.
    bundled = model == BUNDLED_MODEL.name
    printer = ResultPrinter(loaded, form, lambda path, result: _lines(path, result, bundled=bundled))
    if cluster is not None:
        show_cluster_results(
            cluster, part, photos, loaded, printer, output, runs.threads, channel_order, top=top
        )
    elif part is not None:
        drawn = min(top, _MAX_DRAWN)
        show_frames(part, loaded, printer, output, lambda _, result: result.draw(count=drawn), top=top)
    else:
        folder = None if output is None else PictureFolder(output, paths)
        unread = show_predictions(paths, loaded, top, printer, folder, "_classes", channel_order)
        if bundled and form is Form.text and unread < len(paths):
            hint(*_about_bundled(loaded))
        failed += unread
    if failed:
        raise typer.Exit(FAILED)


def show_predictions(
    paths: list[str],
    model: Model,
    top: int,
    printer: ResultPrinter,
    folder: PictureFolder | None,
    suffix: str,
    channel_order: ChannelOrder | None = None,
) -> int:
    """Print the classes of each photo, and write its picture to `folder`. Return the number of failed photos."""

    def classify_one(path: str, photo: Photo) -> None:
        result = model.classify(photo, top=top)
        written: dict[str, str] = {}
        if folder is not None:
            written["picture"] = str(folder.save(result.draw(count=min(top, _MAX_DRAWN)), path, suffix))
        printer.show(path, result, written)

    return for_each_photo(paths, classify_one, printer.fail, channel_order)


def _lines(path: str, result: Classification, *, bundled: bool) -> list[str]:
    lines = [head_line(path, result, *_MEANINGS[result.scores_are])]
    texts = [score_text(entry.probability, result.scores_are) for entry in result]
    width = max(6, *map(len, texts))
    lines += [f"  {text:>{width}}  {entry.label}" for text, entry in zip(texts, result, strict=True)]
    if bundled and result.predictions[0].probability < _UNLIKELY:
        lines.append("  None of its classes is likely.")
    return lines


def _about_bundled(model: Model) -> list[str]:
    labels = ", ".join(model.labels or [])
    return [
        f"{model.name} is a small model that knows {len(model.labels or [])} classes: {labels}.",
        "For 1000 classes: mpscnn classify --model mobilenet_v2 PHOTO...",
    ]
