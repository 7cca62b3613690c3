"""Prepare the images for quantisation: arrays for each input, or photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arrays import naming_remedy
from mpscnn._private.other_arguments import number_format
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.photo_sources import input_array, photos_for

Array = NDArray[np.float32]
Given = Mapping[str, Array]
"""Some images: an array for each input of the network, by name."""
#: The number of elements of images that run as one batch. Small images would otherwise spend most time on overhead.
_BATCH = 1 << 17


def to_arrays(network: Network, images: Iterable[Any], what: str) -> list[Given]:
    """Convert a user's images to arrays. Errors begin with `what`. Raises the errors of `mpscnn.quantize`."""
    several = [images] if _is_batch(network, images) else photos_for(f"quantize: {what}", images)
    found = [_inputs(network, image) for image in several]
    if not sum(map(count_images, found)):
        raise ParameterError(f"quantize: {what}: no images given")
    return [given for given in found if count_images(given)]


def _is_batch(network: Network, images: Any) -> bool:
    """Return True for one array of floats with the rank of the network's only input. It is a list of one batch."""
    dtype = str(number_format(getattr(images, "dtype", None)))
    rank = getattr(images, "ndim", 0)
    return dtype.startswith("float") and len(network.inputs) == 1 and rank == len(network.input.shape)


def count_images(given: Given) -> int:
    """Return the number of images."""
    return len(next(iter(given.values())))


def batches(images: Sequence[Given], numbers: int = _BATCH, most: int | None = None) -> Iterator[Given]:
    """Yield batches of consecutive images of the same size.

    Args:
        images: the images, in any number at a time.
        numbers: the largest number of elements of a batch of several images.
        most: the largest number of images of a batch; None: any.
    """
    waiting: list[Given] = []
    for image in one_by_one(images):
        size = (len(waiting) + 1) * sum(array.size for array in image.values())
        if waiting and (_shapes(image) != _shapes(waiting[0]) or size > numbers or len(waiting) == most):
            yield _joined(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield _joined(waiting)


def one_by_one(images: Sequence[Given]) -> Iterator[Given]:
    """Yield each image separately."""
    for given in images:
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
    given = input_array("quantize", network, expected, image)
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
        with naming_remedy([expected], [array], image):
            raise ShapeError(f"quantize: images of the shape {array.shape}, but the network takes {expected}")
    return array
