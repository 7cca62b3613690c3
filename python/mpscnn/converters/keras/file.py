"""Opening Keras files: .h5 and .keras, told apart by their contents."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.files import content_of
from mpscnn.converters.archive_errors import ARCHIVE_ERRORS
from mpscnn.converters.keras.config import KerasModel, parse_model
from mpscnn.converters.keras.hdf5 import SIGNATURE, Hdf5
from mpscnn.converters.keras.weights import NamedWeights, NumberedWeights, WeightSource
from mpscnn.errors import UnsupportedError, WeightsError

# What is packed may take so many times the file's size.
_MAX_UNPACKED = 16
_ALWAYS = 1_000_000


@dataclass(frozen=True)
class KerasFile:
    """A model with where its weights are."""

    origin: str
    model: KerasModel
    weights: WeightSource
    generation: int
    """Of Keras: 1, 2 or 3. Some functions changed."""


def read_keras(path: Path) -> KerasFile:
    """Reads a file. Raises WeightsError when it is missing, damaged or something else."""
    content = content_of(path, WeightsError)
    try:
        if content.startswith(b"PK"):
            return _archive(content, str(path))
        if content.startswith(SIGNATURE):
            return _hdf5(content, str(path))
    except (UnsupportedError, WeightsError) as error:
        raise type(error)(f"{path}: {error}") from error
    except RecursionError as error:
        raise WeightsError(f"{path}: damaged: its description is nested too deeply") from error
    raise WeightsError(f"{path}: is not a Keras file: neither HDF5 nor a zip archive")


def _hdf5(content: bytes, origin: str) -> KerasFile:
    file = Hdf5(content)
    text = file.text("", "model_config")
    if text is None:
        if file.texts("", "layer_names") is not None or file.has("layers"):
            raise UnsupportedError("holds weights only: save the whole model (model.save)")
        raise WeightsError("is not a Keras file: it has no model_config")
    version = file.text("", "keras_version") or file.text("model_weights", "keras_version")
    model, generation = parse_model(_json(text, "model_config")), _generation(version)
    return KerasFile(origin, model, NamedWeights(file, model, generation), generation)


def _archive(content: bytes, origin: str) -> KerasFile:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            left = _MAX_UNPACKED * len(content) + _ALWAYS
            members = []
            for name in ("config.json", "model.weights.h5", "metadata.json"):
                member = _member(archive, name, left)
                left -= len(member)
                members.append(member)
    except ARCHIVE_ERRORS as error:
        if isinstance(error, (UnsupportedError, WeightsError)):
            raise
        raise WeightsError(f"damaged: {error}") from error
    config, weights, metadata = members
    described = _json(metadata.decode("utf-8", "replace"), "metadata.json") if metadata else {}
    version = described.get("keras_version") if isinstance(described, dict) else None
    model = parse_model(_json(config.decode("utf-8", "replace"), "config.json"))
    numbered = NumberedWeights(Hdf5(weights), model)
    return KerasFile(origin, model, numbered, _generation(version))


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file of the archive; nothing for metadata that are left out."""
    try:
        information = archive.getinfo(name)
    except KeyError:
        if name == "metadata.json":
            return b""
        raise WeightsError(f"is not a Keras file: it has no {name}") from None
    if information.file_size > most:
        raise WeightsError(f"damaged: {name} claims {information.file_size} bytes")
    if information.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(f"{name} is packed in a way that is not supported")
    with archive.open(information) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise WeightsError(f"damaged: {name} has more than {most} bytes")
    return content


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise WeightsError(f"damaged: {name} is not JSON: {error}") from error


def _generation(version: Any) -> int:
    """The first number of a version; files that do not say are Keras 2's."""
    first = version.partition(".")[0] if isinstance(version, str) else ""
    return int(first) if first in ("1", "2", "3", "4") else 2
