"""Read the weights of a Caffe network. Large ones stay in the file until they are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn._private.files import convert_read_errors, require_regular
from mpscnn.converters.blobs import Array, Blob, Place
from mpscnn.converters.caffe.schema import weights_message
from mpscnn.converters.file_bytes import FileBytes
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.message_memory import check_memory
from mpscnn.converters.named_errors import prefix_errors
from mpscnn.converters.skipped_bytes import Field, Holder, SkippedData
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_AXES = 8
# The largest accepted numbers of weight arrays (blobs) of a layer, and of layers in a file. Damaged files may announce
# more. In valid files, a recurrent layer has the most weight arrays, about ten.
_MAX_BLOBS, _MAX_LAYERS = 64, 10_000

# The type of numbers in BlobProto.data and BlobProto.double_data, by the field numbers in `schema`.
_TYPES: dict[int, np.dtype[Any]] = {5: np.dtype("<f4"), 8: np.dtype("<f8")}


def read_weights(path: Path) -> dict[str, list[Blob]]:
    """Return the weights of each layer by the layer's name. Raises WeightsError if it is not a valid .caffemodel."""
    message = weights_message()()
    errors = import_module("google.protobuf.message")
    with convert_read_errors(path, WeightsError):
        require_regular(path, WeightsError)
        stream = path.open("rb")
    try:
        with stream:
            size = path.stat().st_size
            spared = SkippedData(stream, size, {2: {6: _BLOB}, 100: {7: _BLOB}})
        with prefix_errors(str(path)):
            check_memory(message.DESCRIPTOR, spared.message, size)
        message.ParseFromString(spared.message)
    except (errors.DecodeError, ValueError) as error:
        raise WeightsError(f"{path}: is not a file of Caffe's weights: {error}") from error
    content = FileBytes(path)
    places = {_bytes(data): Place(content, *_bytes(data), _TYPES[data.number]) for data in spared.left_out}
    weights: dict[str, list[Blob]] = {}
    if len(message.layer) + len(message.layers) > _MAX_LAYERS:
        count = len(message.layer) + len(message.layers)
        raise UnsupportedError(f"{path}: has {count} layers; more than {_MAX_LAYERS} are not supported")
    for layer in (*message.layer, *message.layers):
        if layer.blobs:
            where = f"{path}: layer {quote_name(layer.name)}"
            if len(layer.blobs) > _MAX_BLOBS:
                raise UnsupportedError(
                    f"{where}: has {len(layer.blobs)} weights; more than {_MAX_BLOBS} are not supported"
                )
            weights[layer.name] = [_blob(blob, places, where) for blob in layer.blobs]
    if not weights:
        raise WeightsError(f"{path}: holds no weights")
    return weights


def _bytes(data: Field) -> tuple[int, int]:
    return data.start, data.end - data.start


def _data(fields: Sequence[Field]) -> Field | None:
    held = [field for field in fields if field.number in _TYPES]
    whole = len(held) == 1 and (held[0].end - held[0].start) % _TYPES[held[0].number].itemsize == 0
    return held[0] if whole else None


def _reference(data: Field) -> bytes:
    blob = weights_message()().layer.add().blobs.add()
    blob.place.extend(_bytes(data))
    return bytes(blob.SerializeToString())


_BLOB = Holder(_data, _reference)


def _blob(blob: Any, places: dict[tuple[int, int], Place], where: str) -> Blob:
    # Each place is used once, so that a malicious file cannot refer to it several times.
    numbers: Array | Place | None = places.pop(tuple(blob.place), None)
    if numbers is None:
        numbers = np.asarray(blob.data or blob.double_data, np.float32)
        count = numbers.size
    else:
        count = numbers.size // numbers.dtype.itemsize
    old = (blob.num, blob.channels, blob.height, blob.width)
    shape = tuple(blob.shape.dim) if blob.HasField("shape") else old
    if len(shape) > _MAX_AXES or any(extent < 0 for extent in shape) or math.prod(shape) != count:
        raise WeightsError(f"{where}: damaged: {count} numbers for the shape {shape[:_MAX_AXES]}")
    return Blob(shape, numbers)
