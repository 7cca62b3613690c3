"""Make small models of every task whose results depend on the photo, and check that a runner gives the same results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from command_line import LABELS, colour_network
from constant_detector import SETTINGS
from numpy.typing import NDArray

import mpscnn
from mpscnn.vision.detector import DetectionHead

PREPROCESS = {"fit": "letterbox", "scale": [1 / 255] * 3}


def _detector() -> mpscnn.Network:
    """Return a detector.

    The photo's red is the first box's width, and its green is the second box's height. Its colours are the scores.
    """
    network = mpscnn.Network(input=(16, 24, 3), name="boxes")
    pooled = network.global_average_pool2d(network.input, name="pool")
    edges = np.zeros((8, 1, 1, 3), np.float32)
    edges[2, 0, 0, 0] = edges[7, 0, 0, 1] = 0.8
    lowest = np.array([0.1, 0.2, 0.15, 0.7, 0.3, 0.1, 0.9, 0.2], np.float32)
    scores = np.zeros((6, 1, 1, 3), np.float32)
    scores[[0, 4], 0, 0, [0, 1]] = 0.9
    weights = {"edges.weight": edges, "edges.bias": lowest}
    weights |= {"amounts.weight": scores, "amounts.bias": np.full(6, 0.05, np.float32)}
    network.output(network.reshape(network.conv2d(pooled, 8, 1, name="edges"), (2, 4), name="boxes"))
    network.output(network.reshape(network.conv2d(pooled, 6, 1, name="amounts"), (2, 3), name="scores"))
    network.load_weights(weights, layout="OHWI")
    network.detection = DetectionHead(SETTINGS | {"suppression": {"score_threshold": 0.2}})
    return network


def _segmenter() -> mpscnn.Network:
    network = mpscnn.Network(input=(8, 12, 3), name="areas")
    network.output(network.conv2d(network.input, 3, 3, padding="same", name="scores"))
    network.initialize_weights(4)
    return network


NETWORKS: dict[str, Callable[[], mpscnn.Network]] = {
    "classification": colour_network,
    "detection": _detector,
    "segmentation": _segmenter,
}

#: For each task two sets of options.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "classification": [{}, {"top": 2}],
    "detection": [{}, {"score_threshold": 0.06, "iou_threshold": 0.3, "max_detections": 3}],
    "segmentation": [{}, {"scores": True}],
}


def load(directory: Path, task: str, device: str = "cpu") -> mpscnn.Model:
    path = directory / f"{task}.safetensors"
    NETWORKS[task]().save(path, dtype="float32", labels=LABELS, preprocess=PREPROCESS)
    model = mpscnn.load(path, device=device, precision="float32")
    assert model.task == task
    return model


def photos(count: int) -> list[NDArray[np.uint8]]:
    """Return photos of several sizes."""
    random = np.random.default_rng(5)
    made = []
    for i in range(count):
        height, width = 20 + 3 * i % 17, 30 + 5 * i % 13
        tint = random.integers(1, 256, 3)
        made.append((random.random((height, width, 3)) * tint).astype(np.uint8))
    return made


def same(result: Any, expected: Any) -> bool:
    """Return True if both results are equal to the last bit, except for their times."""
    if isinstance(expected, mpscnn.Segmentation):
        if (expected.scores is None) != (result.scores is None):
            return False
        scores = expected.scores is None or np.array_equal(result.scores, expected.scores, equal_nan=True)
        return scores and np.array_equal(result.labels, expected.labels) and result.names == expected.names
    return bool(replace(result, milliseconds=0.0) == replace(expected, milliseconds=0.0))


def check_runner(
    model: mpscnn.Model, stream: Sequence[Any], options: dict[str, Any], **arguments: Any
) -> None:
    """Check that a runner's results are those of `predict`."""
    expected = [model.predict(photo, **options) for photo in stream]
    with mpscnn.Runner(model, **arguments) as runner:
        results = list(runner.map(stream, **options))
    assert len(results) == len(expected)
    for result, wanted, photo in zip(results, expected, stream, strict=True):
        assert type(result) is type(wanted)
        assert same(result, wanted)
        assert (result.device, result.precision) == (wanted.device, wanted.precision)
        assert np.array_equal(result.photo.pixels, photo)
        assert 0 < result.milliseconds < 60_000
