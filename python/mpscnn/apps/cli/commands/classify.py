"""The command `mpscnn classify`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mpscnn.apps.cli.arguments import (
    CsvOption,
    JsonLinesOption,
    ModelOption,
    PhotosArgument,
    ScoresOption,
)
from mpscnn.apps.cli.existing_outputs import OverwriteOption
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint
from mpscnn.apps.cli.photo_command import ShownTask, show_results
from mpscnn.apps.cli.result_printer import Form, head_line, output_format
from mpscnn.apps.cli.video_options import READING, Reading
from mpscnn.model import Model, load
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.results import Classification, score_text

#: If the most probable class has a lower probability than this, the bundled model is wrong more often than right.
_UNLIKELY = 0.5
#: Remarks on the probabilities, by `Classification.scores_are`.
_MEANINGS = {"softmax": (), "sigmoid": ("independent probabilities",), "as is": ("the network's own scores",)}
#: The maximum number of classes that a picture lists below the photo.
_MAX_DRAWN = 20


@add_options()
def classify(
    photos: PhotosArgument,
    model: ModelOption = BUNDLED_MODEL.name,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Print the K most probable classes.")] = 5,
    coverage: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Print, instead of the K most probable classes, those among which the right one is for this share of "
            "photos, such as 0.98. The model must be calibrated: mpscnn calibrate.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|VIDEO|FILE",
            help="Write each photo with its classes below: into DIR as NAME_classes.png, or a single one to "
            "FILE.png. FILE.jsonl or FILE.csv: write the results there; if the command is ended, the same command "
            "continues. For a video: write a video, such as out.mp4. With --ray: FILE.parquet, too, and no pictures.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    scores: ScoresOption = None,
    fast_decode: Annotated[
        bool,
        typer.Option(
            "--fast-decode",
            help="Decode large JPEG files at 1/2, 1/4 or 1/8 of their size, but at least twice the size that the model "
            "needs. It is faster, and the scores change a little.",
        ),
    ] = False,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    reading: Reading = READING,
    as_json: JsonLinesOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Print the most probable classes of photos, or of a video's frames.

    Example: mpscnn classify cat.jpg

    Example: mpscnn classify holiday/ --model mobilenet_v2 --top 3 --json

    Example: mpscnn classify beach.jpg --model tags.onnx --scores sigmoid

    Example: mpscnn classify holiday/ --model calibrated.safetensors --coverage 0.98

    Example: mpscnn classify clip.mp4 --every 5 --output out.mp4
    """
    form = output_format(as_json, as_csv)
    # A trained model keeps the name of its network, so the value of --model decides.
    bundled = model == BUNDLED_MODEL.name

    def about(loaded: Model) -> None:
        if bundled and form is Form.text:
            hint(*_about_bundled(loaded))

    show_results(
        replace(
            classifying(
                lambda path, result: _lines(path, result, bundled=bundled), top, "_classes", coverage
            ),
            fast_decode=fast_decode,
        ),
        photos,
        reading,
        lambda: load(model, scores=scores, **program.to_dict(), **runs.to_dict()),
        model,
        output=output,
        overwrite=overwrite,
        form=form,
        threads=runs.threads,
        said=about,
    )


def classifying(
    lines: Callable[[str, Classification], list[str]], top: int, suffix: str, coverage: float | None = None
) -> ShownTask:
    """Return the task of a classifier: print classes, and draw them below the photo.

    They are the `top` most probable ones, or with `coverage` those of a set.
    """
    drawn = min(top, _MAX_DRAWN)
    pictures = {"picture": (suffix, lambda result, _: result.draw(count=drawn))}
    return ShownTask(
        "classification",
        lines,
        pictures,
        options={"top": top} if coverage is None else {"coverage": coverage},
    )


def _lines(path: str, result: Classification, *, bundled: bool) -> list[str]:
    remarks = _MEANINGS[result.scores_are] if result.tags is None else (f"tags: {result.answer_text()}",)
    strange = () if result.unfamiliar is None else (f"unfamiliar {result.unfamiliar:.1%}",)
    if result.numbers is not None or result.keypoints is not None:
        remarks = ()
    lines = [head_line(path, result, *remarks, *strange)]
    if not result:
        return [*lines, "  no class is probable enough for the set"]
    texts = [score_text(entry.probability, result.scores_are) for entry in result]
    if result.numbers is not None:
        texts = [str(number) for number in result.numbers]
    if result.keypoints is not None:
        return [*lines, *(f"  {one.x:8.1f} {one.y:8.1f}  {one.label}" for one in result.keypoints)]
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
