"""`mpscnn features`."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn._private.files import writing
from mpscnn._private.summary import bytes_text
from mpscnn.cli.answers import of_photo
from mpscnn.cli.arguments import (
    AUTO_DEVICE,
    ChannelOrderOption,
    DeviceOption,
    JsonOption,
    MaxMemoryOption,
    ModelOption,
    PhotosArgument,
    Precision,
    PrecisionOption,
    ThreadsOption,
    load_model,
)
from mpscnn.cli.each_frame import (
    EveryOption,
    FromOption,
    ToOption,
    VideoInflightOption,
    VideoPart,
    status,
    video_part,
)
from mpscnn.cli.each_photo import for_each_photo, listed_photos
from mpscnn.cli.failures import FAILED
from mpscnn.cli.many_machines import ROW_FILES, RayOption, features_on_machines, refuse_videos
from mpscnn.cli.output import report, show, show_json
from mpscnn.cli.picture_folder import PictureFolder
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.graph.features import FeatureExtractor

#: The array beside those of the layers: where each row comes from.
_PHOTOS = "photos"
#: Of a video the array of the frames' times.
_TIMES = "times"

Features = Mapping[str, NDArray[Any]]


class Pooling(str, Enum):
    """Values of --pooling."""

    none = "none"
    global_ = "global"


class _Output(Protocol):
    """Where features go."""

    def add(self, photo: str, features: Features, time: float | None, /) -> None:
        """Those of one photo, or of a video's frame, which has a time in seconds."""

    def finish(self) -> None:
        """Writes what had to wait for the last photo."""

    def fields(self) -> dict[str, Any]:
        """What was written, for JSON."""

    def lines(self) -> list[str]:
        """What was written, as text."""


class _Archive:
    """A numpy file with an array for each layer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._photos: list[str] = []
        self._times: list[float] = []
        self._rows: dict[str, list[NDArray[Any]]] = {}

    def add(self, photo: str, features: Features, time: float | None, /) -> None:
        self._photos.append(photo)
        if time is not None:
            self._times.append(time)
        for layer, value in features.items():
            self._rows.setdefault(layer, []).append(value)

    def finish(self) -> None:
        arrays = {layer: np.concatenate(values) for layer, values in self._rows.items()}
        arrays[_PHOTOS] = np.array(self._photos)
        if self._times:
            arrays[_TIMES] = np.array(self._times)
        # Not numpy.savez: it takes names as keyword arguments, among which a layer's may be its own.
        with writing(self._path, ParameterError), zipfile.ZipFile(self._path, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)

    def fields(self) -> dict[str, Any]:
        return {"file": str(self._path)}

    def lines(self) -> list[str]:
        return [f"  {self._path}, {bytes_text(self._path.stat().st_size)}"]


class _Pictures:
    """A folder with a picture of each photo's channels for each layer."""

    def __init__(self, folder: PictureFolder) -> None:
        self._folder = folder
        self._written: list[dict[str, str]] = []

    def add(self, photo: str, features: Features, _time: float | None, /) -> None:
        from mpscnn.vision.visualize import channels_picture

        self._written.append(
            {
                layer: str(self._folder.save(channels_picture(value[0]), photo, f"_{_file_name(layer)}"))
                for layer, value in features.items()
            }
        )

    def finish(self) -> None:
        """Every picture is written."""

    def fields(self) -> dict[str, Any]:
        return {"pictures": self._written}

    def lines(self) -> list[str]:
        return [f"  {file}" for files in self._written for file in files.values()]


def features(
    photos: PhotosArgument,
    model: ModelOption,
    layers: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Layers whose results are wanted; `mpscnn info` lists them."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="DIR: write NAME_LAYER.png, the channels of each layer as a picture. FILE.npz: write the arrays. With "
            "--ray also FILE.parquet and FILE.jsonl, a row for each photo.",
        ),
    ] = None,
    pooling: Annotated[
        Pooling, typer.Option(help="none: feature maps; global: each channel's mean over the image.")
    ] = Pooling.none,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    max_memory: MaxMemoryOption = None,
    precision: PrecisionOption = Precision.auto,
    channel_order: ChannelOrderOption = None,
    every: EveryOption = None,
    start: FromOption = None,
    end: ToOption = None,
    inflight: VideoInflightOption = None,
    cluster: RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute what layers inside a network see in photos or a video's frames; prints the shapes and what is written.

    FILE.npz has for each layer an array (photos, height, width, channels), or (photos, channels) when pooled,
    and "photos" with the paths. Of a video these are its name with the frame's number, and "times" has seconds.
    Pictures are as dark as a channel's values are small. Layers behind the last wanted one are not computed.

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise11,pointwise13 --output features.npz

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise1 --output pictures/
    """
    names = [name.strip() for name in layers.split(",") if name.strip()]
    for name, what in ((_PHOTOS, "photos"), (_TIMES, "times")):
        if name in names:
            raise typer.BadParameter(f"{name!r} is the name of the list of {what}", param_hint="--layers")
    part = video_part(photos, every, start, end, inflight)
    if cluster is not None:
        refuse_videos(part)
    of_rows = cluster is not None and output is not None and output.suffix.lower() in ROW_FILES
    archived = output is not None and not of_rows and _is_archive(output)
    if cluster is not None:
        paths, failed = list(photos), 0
    else:
        paths, failed = ([part.source], 0) if part is not None else listed_photos(photos)
    if paths:
        loaded = load_model(model, device, precision, threads, max_memory)
        extractor = loaded.features(names, pooling=None if pooling is Pooling.none else pooling.value)
        outputs: list[_Output] = []
        if output is not None and not of_rows:
            outputs.append(_Archive(output) if archived else _Pictures(PictureFolder(output, paths)))
        done: list[str] = []

        def add(name: str, found: Features, time: float | None = None) -> None:
            for target in outputs:
                target.add(name, found, time)
            done.append(name)

        if cluster is not None:
            order = None if channel_order is None else channel_order.value
            file = output if of_rows else None
            failed += features_on_machines(
                cluster, photos, loaded, extractor, order, threads, file, add, done.append
            )
        elif part is not None:
            _add_frames(part, extractor, add)
        else:
            failed += for_each_photo(
                paths,
                lambda path, photo: add(path, extractor.run(photo)),
                lambda path, error: report(of_photo(path, error)),
                channel_order,
            )
        if done:
            for target in outputs:
                target.finish()
            shapes = {
                layer: (len(done), *shape[1:])
                for layer, shape in zip(extractor.layers, extractor.program.outputs.values(), strict=True)
            }
            if as_json:
                show_json(_fields(done, shapes, outputs))
            else:
                show(*_lines(done, shapes, outputs))
    if failed:
        raise typer.Exit(FAILED)


def _add_frames(
    part: VideoPart, extractor: FeatureExtractor, add: Callable[[str, Features, float], None]
) -> None:
    name = Path(part.source).stem
    with part.through(extractor) as results, status(results, part) as tick:
        for frame, found in results:
            add(f"{name}-{frame.number:06}", found, frame.time)
            tick(frame)


def _is_archive(output: Path) -> bool:
    """Whether it is a file of arrays, not a folder."""
    if output.is_dir() or not output.suffix:
        return False
    if output.suffix != ".npz":
        raise typer.BadParameter(
            f"expected a folder for pictures or FILE.npz for arrays, got {output}", param_hint="--output"
        )
    return True


def _file_name(layer: str) -> str:
    """A layer's name as part of a file's: those of converted networks have slashes."""
    return re.sub(r"[^\w.-]+", "_", layer)


Shapes = Mapping[str, tuple[int | None, ...]]


def _fields(photos: list[str], shapes: Shapes, outputs: list[_Output]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "photos": photos,
        "shapes": {layer: list(shape) for layer, shape in shapes.items()},
    }
    for output in outputs:
        described |= output.fields()
    return described


def _lines(photos: list[str], shapes: Shapes, outputs: list[_Output]) -> list[str]:
    lines = [f"{len(photos)} {'photo' if len(photos) == 1 else 'photos'}"]
    lines += [f"  {layer}  {shape}" for layer, shape in shapes.items()]
    return lines + [line for output in outputs for line in output.lines()]
