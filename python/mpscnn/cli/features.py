"""`mpscnn features`."""

from __future__ import annotations

import json
import zipfile
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from mpscnn.cli.arguments import (
    AUTO_DEVICE,
    DeviceOption,
    JsonOption,
    ModelOption,
    PhotosArgument,
    Precision,
    PrecisionOption,
    ThreadsOption,
    load_model,
)
from mpscnn.cli.each_photo import for_each_photo, listed_photos
from mpscnn.cli.failures import FAILED
from mpscnn.errors import ParameterError
from mpscnn.features import FeatureExtractor
from mpscnn.summary import bytes_text

#: The array beside those of the layers: where each row comes from.
_PHOTOS = "photos"


class Pooling(str, Enum):
    """Values of --pooling."""

    none = "none"
    global_ = "global"


def features(
    photos: PhotosArgument,
    model: ModelOption,
    layers: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Layers whose results are wanted; `mpscnn info` lists them."),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE.npz", help="The numpy file to write: one array for each layer.")
    ],
    pooling: Annotated[
        Pooling, typer.Option(help="none: feature maps; global: each channel's mean over the image.")
    ] = Pooling.none,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
    precision: PrecisionOption = Precision.auto,
    as_json: JsonOption = False,
) -> None:
    """Write what layers inside a network see in photos, as numpy arrays.

    FILE.npz has for each layer an array (photos, height, width, channels), or (photos, channels) when pooled,
    and "photos" with the paths. Layers behind the last wanted one are not computed.

    Example: mpscnn features cat.jpg --model mobilenet_v1 --layers pointwise11,pointwise13 --output features.npz
    """
    if output.suffix != ".npz":
        raise typer.BadParameter(f"the name must end in .npz, got {output}", param_hint="--output")
    names = [name.strip() for name in layers.split(",") if name.strip()]
    if _PHOTOS in names:
        raise typer.BadParameter(f"{_PHOTOS!r} is the name of the list of photos", param_hint="--layers")
    paths, failed = listed_photos(photos)
    if paths:
        loaded = load_model(model, device, precision, threads)
        extractor = loaded.features(names, pooling=None if pooling is Pooling.none else pooling.value)
        done, arrays = _extract(paths, extractor)
        failed += len(paths) - len(done)
        if done:
            _write(output, arrays | {_PHOTOS: np.array(done)})
            print(_as_json(output, done, arrays) if as_json else _as_text(output, done, arrays))
    if failed:
        raise typer.Exit(FAILED)


def _extract(paths: list[str], extractor: FeatureExtractor) -> tuple[list[str], dict[str, NDArray[Any]]]:
    """The photos that could be read, and the features of all of them by layer."""
    done: list[str] = []
    rows: dict[str, list[NDArray[Any]]] = {layer: [] for layer in extractor.layers}

    def extract(path: str) -> None:
        for layer, value in extractor.run(path).items():
            rows[layer].append(value)
        done.append(path)

    for_each_photo(paths, extract)
    return done, {layer: np.concatenate(values) for layer, values in rows.items()} if done else {}


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    # Not numpy.savez: it takes names as keyword arguments, among which a layer's may be its own.
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be written: {error.strerror or error}") from error


def _as_json(path: Path, photos: list[str], arrays: dict[str, NDArray[Any]]) -> str:
    shapes = {layer: list(array.shape) for layer, array in arrays.items()}
    return json.dumps({"file": str(path), "photos": photos, "shapes": shapes})


def _as_text(path: Path, photos: list[str], arrays: dict[str, NDArray[Any]]) -> str:
    count = f"{len(photos)} {'photo' if len(photos) == 1 else 'photos'}"
    lines = [f"{path}: {count}, {bytes_text(path.stat().st_size)}"]
    return "\n".join(lines + [f"  {layer}  {array.shape}" for layer, array in arrays.items()])
