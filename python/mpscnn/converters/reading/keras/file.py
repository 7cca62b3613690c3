"""Read Keras files: .h5 and .keras, which are distinguished by their contents."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.json_text import parse_json
from mpscnn._private.zip_members import member_pieces
from mpscnn.converters.opening.archives import ARCHIVE_ERRORS, data_offset, entries_of
from mpscnn.converters.opening.file_bytes import Content, FileBytes, MemoryBytes
from mpscnn.converters.reading.keras.config import KerasModel, parse_model
from mpscnn.converters.reading.keras.first_version import renewed
from mpscnn.converters.reading.keras.hdf5 import Hdf5
from mpscnn.converters.reading.keras.hdf5_objects import is_hdf5
from mpscnn.converters.reading.keras.left_out import notes
from mpscnn.converters.reading.keras.weights import NamedWeights, NumberedWeights, WeightSource
from mpscnn.errors import UnsupportedError, WeightsError

# Decompressed data may take at most _MAX_UNPACKED times the file's size, and _ALWAYS bytes more.
_MAX_UNPACKED = 16
_ALWAYS = 1_000_000
_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")  # of an archive
_WEB_LAYERS = "tfjs-layers"  # the beginning of the version that TensorFlow.js states


@dataclass(frozen=True)
class KerasFile:
    """A model and the source of its weights."""

    origin: str
    model: KerasModel
    weights: WeightSource
    generation: int
    """The major version of Keras: 1, 2 or 3, or `WEB` for TensorFlow.js. Some functions differ between them."""
    size: int
    """The bytes of the file, which limit the work and memory that the conversion may take."""
    entry: Any = None
    """The JSON of which `model` was made; None for a model in memory."""
    samples_corners: bool = False
    """Whether a bilinear UpSampling2D takes its samples at i * in / out, not at half pixels; see `samples_corners`."""
    notes: Sequence[str] = ()
    """Sentences about parts of the file that the model does not have."""


WEB = 0
"""The generation of files that TensorFlow.js wrote. Its layers are those of Keras 2, with other defaults."""


def read_keras(path: Path) -> KerasFile:
    """Read a Keras file. Raises WeightsError if it is missing, damaged or not a Keras file."""
    content = FileBytes(path)
    try:
        if content.read(0, 2) == b"PK":
            return _archive(content, str(path))
        if is_hdf5(content):
            return _hdf5(content, str(path))
    except (UnsupportedError, WeightsError) as error:
        raise type(error)(f"{path}: {error}") from error
    except RecursionError as error:
        raise UnsupportedError(
            f"{path}: its description is nested too deeply, which is not supported"
        ) from error
    raise WeightsError(f"{path}: is not a Keras file: neither HDF5 nor a zip archive")


def _hdf5(content: Content, origin: str) -> KerasFile:
    file = Hdf5(content)
    text = file.text("", "model_config")
    if text is None:
        if file.texts("", "layer_names") is not None or file.has("layers"):
            raise UnsupportedError("holds weights only: save the whole model (model.save)")
        raise WeightsError("is not a Keras file: it has no model_config")
    version = file.text("", "keras_version") or file.text("model_weights", "keras_version")
    entry, generation = _json(text, "model_config"), major_version(version)
    if generation == 1:
        entry = renewed(entry)
    model = parse_model(entry)
    backend = file.text("", "backend") or file.text("model_weights", "backend")
    weights = NamedWeights(file, model, generation, is_reversed=backend == "theano")
    compiled = file.text("", "training_config")
    training = None if compiled is None else _json(compiled, "training_config")
    left_out = notes(entry, training, has_optimizer_state=file.has("optimizer_weights"))
    size, corners = len(content), samples_corners(version)
    return KerasFile(origin, model, weights, generation, size, entry, corners, left_out)


def _archive(content: FileBytes, origin: str) -> KerasFile:
    try:
        with zipfile.ZipFile(content.path) as archive:
            entries_of(archive)
            left = _MAX_UNPACKED * len(content) + _ALWAYS
            members = []
            for name in _MEMBERS[:2]:
                member = _member(archive, name, left)
                left -= len(member)
                members.append(member)
            weights = _weights(archive, content, left)
            assets = {name for name in archive.namelist() if not name.endswith("/")}.difference(_MEMBERS)
    except ARCHIVE_ERRORS as error:
        if isinstance(error, (UnsupportedError, WeightsError)):
            raise
        raise WeightsError(f"damaged: {error}") from error
    config, metadata = members
    described = _json(metadata.decode("utf-8", "replace"), "metadata.json") if metadata else {}
    version = described.get("keras_version") if isinstance(described, dict) else None
    entry = _json(config.decode("utf-8", "replace"), "config.json")
    model = parse_model(entry)
    arrays = Hdf5(weights)
    numbered = NumberedWeights(arrays, model)
    training = entry.get("compile_config")  # parse_model has made sure that it is a mapping
    left_out = notes(entry, training, has_optimizer_state=arrays.has("optimizer"), assets=assets)
    size, generation = len(content), major_version(version)
    return KerasFile(origin, model, numbered, generation, size, entry, notes=left_out)


def _member(archive: zipfile.ZipFile, name: str, maximum: int) -> bytes:
    """Return the content of a file in the archive; empty if the optional metadata.json is missing."""
    if name == "metadata.json" and name not in archive.namelist():
        return b""
    return b"".join(member_pieces(archive, _entry(archive, name, maximum)))


def _weights(archive: zipfile.ZipFile, content: FileBytes, maximum: int) -> Content:
    """Return the file of weights in the archive. If it is compressed, which Keras never does, it is kept in memory."""
    name = _MEMBERS[2]
    entry = _entry(archive, name, maximum)
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return MemoryBytes(_member(archive, name, maximum))
    for _ in member_pieces(archive, entry):  # the checksum is compared at the end
        pass
    return content.part(data_offset(content, entry), entry.file_size)


def _entry(archive: zipfile.ZipFile, name: str, maximum: int) -> zipfile.ZipInfo:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise WeightsError(f"is not a Keras file: it has no {name}") from None
    if entry.file_size > maximum:
        raise UnsupportedError(
            f"{name} claims {entry.file_size} bytes, more than {_MAX_UNPACKED} times the file's, which is not supported"
        )
    return entry


def _json(text: str, name: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise WeightsError(f"damaged: {name} is not JSON: {error}") from error


def samples_corners(version: Any) -> bool:
    """Return whether the writer's bilinear UpSampling2D takes its samples at i * in / out, not at half pixels.

    TensorFlow.js does. So does Keras before it became a part of TensorFlow: up to 2.3, and in TensorFlow up to 2.1
    ("2.1.6-tf" is that of TensorFlow 1.12). The source is `resize_images` in its module tensorflow_backend.
    """
    text = version if isinstance(version, str) else ""
    if text.startswith(_WEB_LAYERS):
        return True
    numbers = [int(part) if part.isdecimal() else 0 for part in text.partition("-")[0].split(".")[:2]]
    return bool(text) and numbers < ([2, 2] if text.endswith("-tf") else [2, 4])


def major_version(version: Any) -> int:
    """Return the major version of Keras from a version string; 2 if the file does not state it."""
    if isinstance(version, str) and version.startswith(_WEB_LAYERS):
        return WEB
    first = version.partition(".")[0] if isinstance(version, str) else ""
    return int(first) if first in ("1", "2", "3", "4") else 2
