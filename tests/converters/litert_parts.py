"""Run photos on TensorFlow Lite's own runtime, to compare converted networks with its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def classify(files: list[Path], photo: Path) -> NDArray[np.float64]:
    """Return the probability or logit of each class for a photo.

    The quantised files run one after the other, and each reads the result of the file before. The first file gets the
    integers of the photo, resized to its input.
    """
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert").Interpreter
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    value: Any = None
    for file in files:
        part = interpreter(str(file))
        part.allocate_tensors()
        source, result = part.get_input_details()[0], part.get_output_details()[0]
        if value is None:
            height, width = (int(extent) for extent in source["shape"][1:3])
            with image.open(photo) as opened:
                resized = opened.convert("RGB").resize((width, height), image.Resampling.BILINEAR)
            value = np.asarray(resized)[None]
        part.set_tensor(source["index"], value)
        part.invoke()
        value = part.get_tensor(result["index"])
    scale, zero_point = result["quantization"]
    numbers: NDArray[np.float64] = (value[0].astype(np.float64) - zero_point) * scale
    return numbers
