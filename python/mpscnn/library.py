"""What the core says about itself, and its photo preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.photo import open_photo


def build_config() -> dict[str, Any]:
    """How the core was built: version, compiler, flags, backends, instruction sets and the one in use."""
    config: dict[str, Any] = json.loads(_core.build_config())
    return config


def devices() -> list[dict[str, Any]]:
    """Devices of this machine: name (for `device=`), description, precisions."""
    found: list[dict[str, Any]] = json.loads(_core.devices())
    return found


def operations() -> list[dict[str, Any]]:
    """All operations of graphs and model files: name, summary, number of inputs, parameters."""
    listed: list[dict[str, Any]] = json.loads(_core.operations())
    return listed


def preprocess(
    photo: Any, size: tuple[int, int], settings: str | Mapping[str, Any] = "tensorflow", *, channels: int = 3
) -> NDArray[np.float32]:
    """A photo as a network's input: (1, height, width, channels) float32.

    Args:
        photo: path, bytes, Pillow image or array, see `mpscnn.photo.open_photo`.
        size: (height, width) of the result.
        settings: "tensorflow" (-1 to 1), "caffe", "torch", "unit" (0 to 1), "none" (0 to 255), or a mapping as in
            docs/preprocessing.md.
        channels: 3, or 1 for gray.

    Raises:
        ImageError: the photo cannot be read. ParameterError: settings that are not allowed.
    """
    opened = open_photo(photo)
    output = np.empty((1, *size, channels), np.float32)
    text = json.dumps(settings if isinstance(settings, str) else dict(settings))
    _core.preprocess(opened.pixels, opened.format, opened.orientation, text, output[0])
    return output
