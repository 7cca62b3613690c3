"""How a photo becomes a network's input, as far as a file of another framework says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mpscnn.graph.network import Network

#: The note on a Caffe file that does not state its preprocessing. It is dropped when the user states it.
CAFFE_PHOTOS = "most networks of Caffe take photos as BGR with a mean subtracted, such as --preprocess caffe"


def takes_photos(network: Network) -> bool:
    """Return True if the only input is an image of one channel (gray) or three."""
    if len(network.inputs) != 1:
        return False
    shape = network.input.shape
    return len(shape) == 4 and shape[-1] in (1, 3)


def preprocess_of_quantized(
    network: Network, scale: float, zero_point: int, lowest: int
) -> dict[str, Any] | None:
    """Preprocessing for a network made of one whose input is 8-bit integers; None if it takes no photos.

    Such an integer is a sample of the photo, moved so that 0 becomes `lowest`, and stands for the number
    (integer - zero point) * scale.

    Args:
        network: what was made of the file; its input is these numbers.
        scale: of the input's quantization.
        zero_point: in the same way.
        lowest: 0 for uint8, -128 for int8.
    """
    if not takes_photos(network) or not (math.isfinite(scale) and scale > 0.0):
        return None
    channels = network.input.shape[-1] or 0
    order = {"order": "gray"} if channels == 1 else {}
    return order | {"mean": [float(zero_point - lowest)] * channels, "scale": [float(scale)] * channels}


def preprocess_of_normalized(
    network: Network, mean: Sequence[float], deviation: Sequence[float]
) -> dict[str, Any] | None:
    """Preprocessing for a network whose input is (sample - mean) / deviation; None if it takes no photos.

    Args:
        network: what was made of the file.
        mean, deviation: one number, or one for each channel, in the order RGB; none: the file does not say.
    """
    channels = network.input.shape[-1] if takes_photos(network) else None
    if channels is None or not {len(mean), len(deviation)} <= {1, channels}:
        return None
    order = {"order": "gray"} if channels == 1 else {}
    means, scales = (list(given) * (channels if len(given) == 1 else 1) for given in (mean, deviation))
    return order | {"mean": means, "scale": [1.0 / scale for scale in scales]}
