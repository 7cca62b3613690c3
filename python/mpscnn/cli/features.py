"""`mpscnn features`."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
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
from mpscnn.cli.each_photo import for_each_photo, listed_photos
from mpscnn.cli.failures import FAILED
from mpscnn.cli.output import report, show, show_json
from mpscnn.cli.picture_folder import PictureFolder
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.vision.photo import Photo

#: The array beside those of the layers: where each row comes from.
_PHOTOS = "photos"

Features = Mapping[str, NDArray[Any]]


class Pooling(str, Enum):
    """Values of --pooling."""

    none = "none"
    global_ = "global"


class _Output(Protocol):
    """Where features go."""

    def add(self, photo: str, features: Features) -> None:
        """Those of one photo."""

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
        self._rows: dict[str, list[NDArray[Any]]] = {}

    def add(self, photo: str, features: Features) -> None:
        self._photos.append(photo)
        for layer, value in features.items():
            self._rows.setdefault(layer, []).append(value)

    def finish(self) -> None:
        arrays = {layer: np.concatenate(values) for layer, values in self._rows.items()}
        # Not numpy.savez: it takes names as keyword arguments, among which a layer's may be its own.
        with writing(self._path, ParameterError), zipfile.ZipFile(self._path, "w") as archive:
            for name, array in {**arrays, _PHOTOS: np.array(self._photos)}.items():
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

    def add(self, photo: str, features: Features) -> None:
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
            metavar="DIR|FILE.npz",
            help="DIR: write NAME_LAYER.png, the channels of each layer as a picture. FILE.npz: write the arrays.",
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
    as_json: JsonOption = False,
) -> None:
    """Compute what layers inside a network see in photos; prints the shapes and what is written.

    FILE.npz has for each layer an array (photos, height, width, channels), or (photos, channels) when pooled,
    and "photos" with the paths. Pictures are as dark as a channel's values are small. Layers behind the last
    wanted one are not computed.

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise11,pointwise13 --output features.npz

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise1 --output pictures/
    """
    names = [name.strip() for name in layers.split(",") if name.strip()]
    if _PHOTOS in names:
        raise typer.BadParameter(f"{_PHOTOS!r} is the name of the list of photos", param_hint="--layers")
    archived = output is not None and _is_archive(output)
    paths, failed = listed_photos(photos)
    if paths:
        loaded = load_model(model, device, precision, threads, max_memory)
        extractor = loaded.features(names, pooling=None if pooling is Pooling.none else pooling.value)
        outputs: list[_Output] = []
        if output is not None:
            outputs.append(_Archive(output) if archived else _Pictures(PictureFolder(output, paths)))
        done: list[str] = []

        def extract(path: str, photo: Photo) -> None:
            found = extractor.run(photo)
            for target in outputs:
                target.add(path, found)
            done.append(path)

        failed += for_each_photo(
            paths, extract, lambda path, error: report(of_photo(path, error)), channel_order
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
