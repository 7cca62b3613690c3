"""Read the weights of a Caffe network. Large ones stay in the file until they are needed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn.converters.opening.blobs import Array, Blob, Place
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.unsupported import prefix_errors
from mpscnn.converters.opening.wire.message import Message, open_message
from mpscnn.converters.reading.caffe.schema import WEIGHTS_KIND
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_AXES = 8
# The largest accepted numbers of weight arrays (blobs) of a layer, and of layers in a file. Damaged files may announce
# more. In valid files, a recurrent layer has the most weight arrays, about ten.
_MAX_BLOBS, _MAX_LAYERS = 64, 10_000

# The types of numbers in the fields with a blob's data.
_TYPES: dict[str, np.dtype[Any]] = {"data": np.dtype("<f4"), "double_data": np.dtype("<f8")}
# NVIDIA's Caffe and OpenCV (shrinkCaffeModel) store numbers as bytes, with a number for their type.
_RAW = "raw_data"
_RAW_TYPES: dict[Any, np.dtype[Any]] = {0: np.dtype("<f8"), 1: np.dtype("<f4"), 2: np.dtype("<f2")}


def read_weights(path: Path) -> dict[str, list[Blob]]:
    """Return the weights of each layer by the layer's name. Raises WeightsError if it is not a valid .caffemodel."""
    content = FileBytes(path)
    message = open_message(WEIGHTS_KIND, content)
    try:
        count = message.count("layer") + message.count("layers")
    except WeightsError as error:
        raise WeightsError(f"{path}: is not a file of Caffe's weights: {error}") from error
    if count > _MAX_LAYERS:
        raise UnsupportedError(f"{path}: has {count} layers; more than {_MAX_LAYERS} are not supported")
    weights: dict[str, list[Blob]] = {}
    with prefix_errors(str(path)):
        for layer in (*message.layer, *message.layers):
            if count := layer.count("blobs"):
                where = f"layer {quote_name(layer.name)}"
                if count > _MAX_BLOBS:
                    raise UnsupportedError(
                        f"{where}: has {count} weights; more than {_MAX_BLOBS} are not supported"
                    )
                weights[layer.name] = [_blob(blob, content, where) for blob in layer.blobs]
    if not weights:
        raise WeightsError(f"{path}: holds no weights")
    return weights


def _blob(blob: Message, content: FileBytes, where: str) -> Blob:
    numbers = _numbers(blob, content, where)
    count = numbers.size // (numbers.dtype.itemsize if isinstance(numbers, Place) else 1)
    old = (blob.num, blob.channels, blob.height, blob.width)
    shape = tuple(blob.shape.dim) if blob.has("shape") else old
    if len(shape) > _MAX_AXES or any(extent < 0 for extent in shape) or math.prod(shape) != count:
        raise WeightsError(f"{where}: damaged: {count} numbers for the shape {shape[:_MAX_AXES]}")
    return Blob(shape, numbers)


def _numbers(blob: Message, content: FileBytes, where: str) -> Array | Place:
    """Return the numbers of a weight. If they are stored together, they stay in the file."""
    field, types = next(filter(blob.has, _TYPES), "data"), _TYPES
    if blob.has(_RAW):
        kind = blob.raw_data_type if blob.has("raw_data_type") else 1
        if kind not in _RAW_TYPES:
            raise UnsupportedError(
                f"{where}: its weights are integers (type {kind}), which are not supported"
            )
        field, types = _RAW, {_RAW: _RAW_TYPES[kind]}
    place = blob.position(field)
    if place is None:
        return blob.numbers(field).astype(np.float32, copy=False)
    if place[1] % types[field].itemsize:
        raise WeightsError(f"{where}: damaged: its numbers take {place[1]} bytes")
    return Place(content, place[0], place[1], types[field])
