"""The command `mpscnn features`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mpscnn._private.files import is_folder, require_replaceable
from mpscnn._private.printable import quote_path
from mpscnn.apps.cli.arguments import JsonOption, ModelOption, PhotosArgument, split_names
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.feature_outputs import (
    ERRORS,
    LINES,
    PHOTOS,
    TIMES,
    Archive,
    FeatureLines,
    Features,
    Moment,
    Output,
    Pictures,
    picture_suffix,
)
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import report, show, show_json
from mpscnn.apps.cli.photo_options import for_each_photo, list_photos, open_input_photo
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.apps.cli.ray_options import ROW_FILES, compute_features, refuse_videos
from mpscnn.apps.cli.video_options import READING, Reading, VideoPart, status
from mpscnn.errors import Error, ParameterError
from mpscnn.model import Model, load
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.vision.result_rows import error_fields, photo_error_text

if TYPE_CHECKING:
    from mpscnn.graph.features import FeatureExtractor


@add_options()
def features(
    photos: PhotosArgument,
    model: ModelOption,
    layers: Annotated[
        str, typer.Option(metavar="NAME,...", help="Compute these layers; `mpscnn info` lists them.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|FILE",
            help="Write pictures of each layer's channels into DIR as NAME_LAYER.png, arrays to FILE.npz, or a "
            "line for each photo or frame to FILE.jsonl or FILE.csv. With --ray: FILE.jsonl or FILE.parquet.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    pooling: Annotated[
        Literal["none", "global"],
        typer.Option(
            help="Return the layer's output (none), or each channel's mean over the image (global)."
        ),
    ] = "none",
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    reading: Reading = READING,
    as_json: JsonOption = False,
) -> None:
    """Compute the outputs of layers inside a network for photos or a video's frames, and print their shapes.

    FILE.npz has one array for each layer, with shape (photos, height, width, channels), or (photos, channels) when
    pooled. Its array "photos" has the paths, and "errors" the error of each photo that failed, whose numbers are
    NaN. For a video "photos" has the video's name with the number of the frame, and the array "times" has seconds.
    In FILE.jsonl and FILE.csv, each line has the numbers of all layers for one photo or frame, row by row with
    channels last. Pictures show each channel in gray, small values dark. Layers after the last one of --layers are
    not computed.

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise11,pointwise13 --output features.npz

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise1 --output pictures/
    """
    names = split_names(layers)
    for name, what in ((PHOTOS, "photos"), (ERRORS, "errors"), (TIMES, "times")):
        if name in names:
            raise typer.BadParameter(f"{name!r} is the name of the list of {what}", param_hint="--layers")
    cluster, channel_order = reading.cluster, reading.channel_order
    part = reading.video(photos)
    if cluster is not None:
        refuse_videos(part)
    of_rows = cluster is not None and output is not None and output.suffix.lower() in ROW_FILES
    require_new(overwrite, output)
    kind = None if output is None or of_rows else _kind_of(output, cluster is not None, names, overwrite)
    if cluster is not None:
        paths, failed = list(photos), 0
    else:
        paths, failed = ([part.source], 0) if part is not None else list_photos(photos)
    if paths:
        loaded = load(model, **program.to_dict(), **runs.to_dict())
        _require_layers(loaded, model, names)
        extractor = loaded.features(names, pooling=None if pooling == "none" else pooling)
        outputs: list[Output] = []
        if output is not None and kind is not None:
            outputs.append(kind(output, paths))
        done: list[str] = []
        errors: dict[str, dict[str, str]] = {}
        times: list[float] = []

        def fail(path: str, error: Error) -> None:
            report(photo_error_text(path, error))
            for target in outputs:
                target.fail(path, error)
            errors[path] = error_fields(path, error)

        def add(name: str, found: Features, moment: Moment | None = None) -> None:
            for target in outputs:
                target.add(name, found, moment)
            done.append(name)
            if moment is not None:
                times.append(moment.time)

        with _kept(outputs, done, part is not None):
            if cluster is not None:
                file = output if of_rows else None
                failed += compute_features(
                    cluster,
                    photos,
                    loaded,
                    extractor,
                    channel_order,
                    runs.threads,
                    file,
                    add,
                    done.append,
                    fail,
                )
            elif part is not None:
                _add_frames(part, extractor, add)
            else:
                failed += for_each_photo(
                    paths,
                    extractor.run,
                    lambda path, _, found: add(path, found),
                    fail,
                    partial(open_input_photo, channel_order=channel_order),
                )
        if done:
            shapes = {
                layer: (len(done) + len(errors), *shape[1:])
                for layer, shape in zip(extractor.layers, extractor.program.outputs.values(), strict=True)
            }
            if as_json:
                show_json(_fields(done, errors, times, shapes, outputs))
            else:
                show(*_lines(len(done), len(errors), shapes, outputs))
    if failed:
        raise typer.Exit(FAILED)


def _require_layers(loaded: Model, given: str, names: Sequence[str]) -> None:
    """Raise ParameterError if the network lacks a layer. `given` is the model as the user named it."""
    try:
        for name in names:
            loaded.network[name]
    except ParameterError as error:
        raise ParameterError(f"{error}; its layers are listed by: mpscnn info {quote_path(given)}") from error


@contextmanager
def _kept(outputs: Sequence[Output], done: Sequence[str], of_video: bool) -> Iterator[None]:
    """Finish the outputs at the end of the `with` block if any photo succeeded. Otherwise remove them.

    If a video is interrupted by Ctrl-C or damaged, the frames before that are kept.
    """
    with ExitStack() as stack:
        for target in outputs:
            stack.callback(target.close)
        ended = False
        try:
            yield
            ended = True
        finally:
            if done and (ended or of_video):
                for target in outputs:
                    target.finish()


def _add_frames(
    part: VideoPart, extractor: FeatureExtractor, add: Callable[[str, Features, Moment], None]
) -> None:
    name = Path(part.source).stem or "frame"
    with part.through(extractor) as results, status(results, part) as tick:
        for frame, found in results:
            add(f"{name}-{frame.number:06}", found, Moment(part.source, frame.number, round(frame.time, 6)))
            tick(frame)


def _kind_of(
    output: Path, by_ray: bool, layers: Sequence[str], overwrite: bool
) -> Callable[[Path, list[str]], Output]:
    """Return the constructor of the output that a file's suffix stands for.

    Raises ParameterError for a file that cannot be written.
    """
    if is_folder(output) or not output.suffix:
        suffixes = [picture_suffix(layer) for layer in layers]
        return lambda path, photos: Pictures(PictureFolder(path, photos, suffixes, overwrite=overwrite))
    if output.suffix in (".npz", *LINES):
        require_replaceable(output, ParameterError)
    if output.suffix == ".npz":
        return lambda path, _: Archive(path)
    if output.suffix in LINES and not by_ray:
        return lambda path, _: FeatureLines(path)
    rows = ", ".join(ROW_FILES if by_ray else LINES)
    raise typer.BadParameter(
        f"expected a folder for pictures, or FILE.npz, {rows} for arrays, got {output}", param_hint="--output"
    )


Shapes = Mapping[str, tuple[int | None, ...]]


def _fields(
    photos: list[str],
    errors: dict[str, dict[str, str]],
    times: list[float],
    shapes: Shapes,
    outputs: list[Output],
) -> dict[str, Any]:
    described: dict[str, Any] = {
        PHOTOS: photos,
        **({ERRORS: errors} if errors else {}),
        **({TIMES: times} if times else {}),
        "shapes": {layer: list(shape) for layer, shape in shapes.items()},
    }
    for output in outputs:
        described |= output.fields()
    return described


def _lines(done: int, failed: int, shapes: Shapes, outputs: list[Output]) -> list[str]:
    lines = [f"{done} {'photo' if done == 1 else 'photos'}{f', {failed} failed' if failed else ''}"]
    lines += [f"  {layer}  {shape}" for layer, shape in shapes.items()]
    return lines + [line for output in outputs for line in output.lines()]
