"""Prepare the images for quantisation: arrays for each input, or photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.vision.preprocessing import preprocess

Array = NDArray[np.float32]
Given = Mapping[str, Array]
"""Some images: an array for each input of the network, by name."""
#: The number of elements of images that run as one batch. Small images would otherwise spend most time on overhead.
_BATCH = 1 << 17


def to_arrays(network: Network, images: Iterable[Any], what: str) -> list[Given]:
    """Convert a user's images to arrays. Errors begin with `what`. Raises the errors of `mpscnn.quantize`."""
    if isinstance(images, (str, bytes, Mapping)) or not isinstance(images, Iterable):
        raise ParameterError(f"quantize: {what} must be a list of arrays or photos, got {images!r}")
    found = [_inputs(network, image) for image in images]
    if not sum(map(count_images, found)):
        raise ParameterError(f"quantize: {what}: no images given")
    return [given for given in found if count_images(given)]


def count_images(given: Given) -> int:
    """Return the number of images."""
    return len(next(iter(given.values())))


def batches(images: Sequence[Given]) -> Iterator[Given]:
    """Yield batches of consecutive images of the same size, with at most `_BATCH` numbers or one image each."""
    waiting: list[Given] = []
    for image in (one for given in images for one in _one_by_one(given)):
        size = (len(waiting) + 1) * sum(array.size for array in image.values())
        if waiting and (_shapes(image) != _shapes(waiting[0]) or size > _BATCH):
            yield _joined(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield _joined(waiting)


def _one_by_one(given: Given) -> Iterator[Given]:
    for i in range(count_images(given)):
        yield {name: array[i : i + 1] for name, array in given.items()}


def _shapes(given: Given) -> list[tuple[int, ...]]:
    return [array.shape for array in given.values()]


def _joined(images: Sequence[Given]) -> Given:
    return {name: np.concatenate([image[name] for image in images]) for name in images[0]}


def _inputs(network: Network, image: Any) -> Given:
    names = [tensor.name for tensor in network.inputs]
    if len(names) == 1 and not isinstance(image, Mapping):
        return {names[0]: _input(network, network.input, image)}
    if isinstance(image, Mapping):
        if set(image) != set(names):
            raise ParameterError(
                f"quantize: arrays for inputs {', '.join(map(repr, image))}; network {network.name!r} has "
                f"{', '.join(map(repr, names))}"
            )
        each = [image[name] for name in names]
    elif isinstance(image, (list, tuple)) and len(image) == len(names):
        each = list(image)
    else:
        raise ParameterError(
            f"quantize: network {network.name!r} has {len(names)} inputs, so images are mappings by their names, or "
            f"sequences of {len(names)} arrays, got {type(image).__name__}"
        )
    given = {
        tensor.name: _input(network, tensor, array)
        for tensor, array in zip(network.inputs, each, strict=True)
    }
    counts = {name: len(array) for name, array in given.items()}
    if len(set(counts.values())) > 1:
        raise ShapeError(f"quantize: as many images for each input are needed, got {counts}")
    return given


def _input(network: Network, tensor: Tensor, image: Any) -> Array:
    expected = tensor.shape
    is_photo = not hasattr(image, "__array_interface__") or isinstance(image, (str, bytes, PathLike))
    if is_photo or type(image).__module__.startswith("PIL."):
        if network.preprocess is None or len(expected) != 4 or None in expected[1:]:
            raise UnsupportedError(
                f"quantize: network {network.name!r} does not say how a photo becomes its input {expected}: give arrays"
            )
        height, width, channels = (int(extent or 0) for extent in expected[1:])
        return preprocess(image, (height, width), network.preprocess, channels=channels)
    given = np.asarray(image)
    if given.dtype.kind not in "fiub":
        raise ParameterError(f"quantize: images must be numbers or photos, got an array of {given.dtype}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(given, np.float32)
    if not np.isfinite(array).all():
        raise ParameterError("quantize: the images are not all finite")
    fits = array.ndim == len(expected) and all(
        wanted in (None, extent) for extent, wanted in zip(array.shape[1:], expected[1:], strict=True)
    )
    if not fits:
        raise ShapeError(f"quantize: images of the shape {array.shape}, but the network takes {expected}")
    return array
