"""A detector whose network gives the same boxes for every photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import mpscnn
from mpscnn.vision.detector import DetectionHead

#: Left, top, right, bottom in fractions of the input.
EDGES = (0.25, 0.125, 0.75, 0.5)
LABELS = ("cat", "dog")
SETTINGS: dict[str, Any] = {
    "version": 1,
    "anchors": {"rule": "none"},
    "boxes": {"order": "xy"},
    "scores": {"kind": "probability", "background": False},
    "suppression": {"score_threshold": 0.5},
}


def constant_network(
    boxes: Any = (EDGES,),
    scores: Any = ((0.9, 0.2),),
    *,
    size: tuple[int, int] = (16, 32),
    settings: dict[str, Any] | None = None,
) -> mpscnn.Network:
    """Return a network whose outputs "boxes" (n, count, 4) and "scores" (n, count, classes) are these numbers."""
    net = mpscnn.Network(input=(*size, 3), name="constants")
    pooled = net.global_average_pool2d(net.input)
    weights = {}
    for name, given in (("boxes", boxes), ("scores", scores)):
        numbers = np.array(given, np.float32)
        layer = net.conv2d(pooled, numbers.size, 1, name=f"{name}_numbers")
        net.output(net.reshape(layer, numbers.shape, name=name))
        weights[f"{name}_numbers.weight"] = np.zeros((numbers.size, 1, 1, 3), np.float32)
        weights[f"{name}_numbers.bias"] = numbers.reshape(-1)
    net.load_weights(weights, layout="OHWI")
    net.detection = DetectionHead(settings or SETTINGS)
    return net


def save_constant_detector(
    path: Path, *, preprocess: Any = "unit", labels: Any = LABELS, **network: Any
) -> Path:
    """Write the detector as a model file."""
    constant_network(**network).save(path, preprocess=preprocess, labels=labels, dtype="float32")
    return path
