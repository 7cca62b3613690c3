"""Run photos on TensorFlow Lite's own runtime, to compare converted networks with its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from exact_engines import invoke_litert, litert_interpreter
from numpy.typing import NDArray

import mpscnn


def pixels(photo: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the integers of a photo, of shape (1, height, width, 3), as a model of integers in mpscnn gets them.

    If LiteRT got pixels that differ by 1, its results could differ by several steps of their integers.
    """
    samples = mpscnn.preprocess(photo, size, {"mean": [128.0] * 3, "scale": [1.0] * 3})
    # Ties round away from zero, as `precision="int8"` rounds them.
    nearest = np.copysign(np.floor(np.abs(samples) + 0.5), samples)
    return np.clip(nearest + 128.0, 0, 255).astype(np.uint8)


def classify(files: list[Path], photo: Path) -> NDArray[np.float64]:
    """Return the probability or logit of each class for a photo.

    The quantised files run one after the other, and each reads the result of the file before. The first file gets the
    pixels of the photo, resized to its input.
    """
    value: Any = None
    for file in files:
        part = litert_interpreter(file)
        source, result = part.get_input_details()[0], part.get_output_details()[0]
        if value is None:
            height, width = (int(extent) for extent in source["shape"][1:3])
            value = pixels(photo, (height, width))
        invoke_litert(part, value)
        value = part.get_tensor(result["index"])
    scale, zero_point = result["quantization"]
    numbers: NDArray[np.float64] = (value[0].astype(np.float64) - zero_point) * scale
    return numbers
