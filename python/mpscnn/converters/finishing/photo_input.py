"""Find the preprocessing of photos that a file of another framework states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mpscnn.graph.network import Network


class PhotoNote(str):
    """A note of `Network.notes` on the preprocessing of photos, which the file does not state.

    It is dropped when the user states the preprocessing.
    """


class WeightNote(str):
    """A note of `Network.notes` on weights that are stored in another type than in the file.

    `mpscnn.load` shows it once, when it converts the file.
    """


#: The note on a Caffe file without preprocessing.
CAFFE_PHOTOS = PhotoNote(
    "most networks of Caffe take photos as BGR with a mean subtracted, such as --preprocess caffe"
)


def takes_photos(network: Network) -> bool:
    """Return True if the only input is an image of one channel (gray) or three."""
    if len(network.inputs) != 1:
        return False
    shape = network.input.shape
    return len(shape) == 4 and shape[-1] in (1, 3)


def preprocess_of_quantized(
    network: Network, scale: float, zero_point: int, lowest: int
) -> dict[str, Any] | None:
    """Return the preprocessing for a network whose input is 8-bit integers in the file; None if it takes no photos.

    The integer of the file's input is a sample of the photo (0 to 255) plus `lowest`. It represents the number
    (integer - zero point) * scale, which is the input of the converted network.

    Args:
        network: the converted network.
        scale: the scale of the input's quantization.
        zero_point: the zero point of the input's quantization.
        lowest: the smallest integer: 0 for uint8, -128 for int8.
    """
    if not takes_photos(network) or not (math.isfinite(scale) and scale > 0.0):
        return None
    channels = network.input.shape[-1] or 0
    order = {"order": "gray"} if channels == 1 else {}
    return order | {"mean": [float(zero_point - lowest)] * channels, "scale": [float(scale)] * channels}


def preprocess_of_normalized(
    network: Network, mean: Sequence[float], deviation: Sequence[float]
) -> dict[str, Any] | None:
    """Return the preprocessing for a network whose input is (sample - mean) / deviation; None if it takes no photos.

    Args:
        network: the converted network.
        mean, deviation: one number, or one for each channel in the order RGB. Empty: the file does not state it, and
            the result is None.
    """
    channels = network.input.shape[-1] if takes_photos(network) else None
    if channels is None or not {len(mean), len(deviation)} <= {1, channels}:
        return None
    order = {"order": "gray"} if channels == 1 else {}
    means, scales = (list(given) * (channels if len(given) == 1 else 1) for given in (mean, deviation))
    return order | {"mean": means, "scale": [1.0 / scale for scale in scales]}
