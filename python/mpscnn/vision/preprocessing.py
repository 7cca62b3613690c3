"""Preprocess photos without a network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import MAX_INPUT_SIDE, IntPair, input_size, whole_number
from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.settings import as_json
from mpscnn.errors import ImageError
from mpscnn.vision.photo import open_photo

_WHITE = 255.0
#: A photo that is decoded at a part of its size has this number of pixels for each pixel of the input, along each side.
_TWICE = 2


@accept_foreign_arguments
def preprocess(
    photo: Any,
    size: IntPair,
    settings: str | Mapping[str, Any] = "tensorflow",
    *,
    channels: int = 3,
    channel_order: ChannelOrderName | None = None,
) -> NDArray[np.float32]:
    """Return a photo as a network's input: (1, height, width, channels) float32.

    Args:
        photo: path, bytes, Pillow image or array, see `mpscnn.photo.open_photo`.
        size: (height, width) of the result, or one number for both.
        settings: "tensorflow" (-1 to 1), "caffe", "torch", "torchvision" ("torch" of the photo's centre), "unit" (0 to
            1), "none" (0 to 255), "mnist" (finds a digit and centres it as in MNIST; one channel), or a mapping as in
            docs/preprocessing.md.
        channels: the number of channels of the result: 3, or 1 for gray.
        channel_order: the order of channels of a photo that is an array, such as "bgr", as for `open_photo`.

    Raises:
        ImageError: the photo cannot be read.
        ParameterError: the size, the settings or `channels` are not allowed, or "mnist" finds no digit.
    """
    height, width = input_size("size", size)
    text = as_json("preprocess", settings)
    opened = open_photo(photo, channel_order=channel_order)
    output = np.empty((1, height, width, whole_number("channels", channels, 1, 3)), np.float32)
    _core.preprocess(opened.core, text, output[0])
    return output


class PhotoInput(Protocol):
    """The part of `Model` that states its input."""

    @property
    def preprocess(self) -> Mapping[str, Any] | None:
        """The settings that turn photos into inputs."""

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of the input with the batch first."""


def decoded_size(model: PhotoInput) -> tuple[int, int] | None:
    """Return the (height, width) that a photo needs at least to fill a model's input twice, as `open_photo` takes it.

    Return None if a smaller picture would change the input too much: for settings without an antialiased filter, or
    that search the photo for a digit.
    """
    shape = model.input_shape
    if model.preprocess is None or len(shape) != 4 or None in shape[1:]:
        return None
    settings = json.loads(_core.describe_preprocess(as_json("preprocess", model.preprocess), shape[3] or 3))
    if not settings["filter"].endswith("_antialias") or settings["fit"] == "digit":
        return None
    part = min(settings["crop_fraction"], 1.0)
    height, width = (math.ceil(_TWICE * int(extent or 0) / part) for extent in shape[1:3])
    return (height, width) if max(height, width) <= MAX_INPUT_SIDE else None


_GIVE_INTEGERS = (
    "floats are the network's input without preprocessing: give numpy.asarray(array, numpy.uint8)"
)


def require_prepared(
    values: NDArray[Any], settings: str | Mapping[str, Any], advice: str = _GIVE_INTEGERS
) -> None:
    """Raise ImageError for pixels in place of a network's input: numbers from 0 to 255, whole or resized.

    Photos become other numbers with these settings, such as -1 to 1. So pixels would give wrong results. Whole numbers
    that are not larger than twice the input of any photo are accepted, and fractions that are not 16 times as large.

    Args:
        values: the input (n, height, width, channels).
        settings: the preprocessing of photos, as for `preprocess`.
        advice: the end of the message, which says what to do.
    """
    if values.ndim != 4 or values.shape[3] not in (1, 3) or not values.size:
        return
    described = json.loads(_core.describe_preprocess(as_json("preprocess", settings), values.shape[3]))
    mean, scale = (np.asarray(described[name], np.float64) for name in ("mean", "scale"))
    largest = float(max(np.abs(mean * scale).max(), np.abs((_WHITE - mean) * scale).max()))
    lowest, highest = float(values.min()), float(values.max())
    # Resizing filters exceed the range of the samples by some per cent.
    if not 2.0 * largest < highest <= 1.1 * _WHITE or lowest < -0.1 * highest:
        return
    are_whole = lowest >= 0.0 and highest <= _WHITE and bool((values == np.rint(values)).all())
    if not are_whole and highest <= 16.0 * largest:
        return
    raise ImageError(
        f"array {values.shape} {values.dtype}: has {'whole ' * are_whole}numbers from {lowest:.4g} to {highest:.4g}, "
        f"which are pixels of photos; {advice}"
    )
