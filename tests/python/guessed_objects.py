"""Make small objects of the classes whose names users of other frameworks guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

import mpscnn
from mpscnn.apps.video.source import VideoFrame

PHOTO = Image.new("RGB", (64, 64), "navy")
X = np.random.default_rng(0).normal(0, 1, (6, 4, 4, 1)).astype(np.float32)
Y = np.array([0, 1, 0, 1, 0, 1])
_CAT = mpscnn.samples.photo("cat")


def image_folder() -> mpscnn.ImageFolder:
    with TemporaryDirectory() as folder:
        for label in ("cat", "dog"):
            place = Path(folder) / label
            place.mkdir()
            PHOTO.save(place / "photo.png")
        return mpscnn.ImageFolder(folder, 8)


def network() -> mpscnn.Network:
    net = mpscnn.Network(input=(4, 4, 1))
    net.output(net.softmax(net.dense(net.conv2d(net.input, 2, 3), 2)))
    net.initialize_weights(seed=0)
    return net


def detections() -> mpscnn.Detections:
    one = [mpscnn.Detection("cat", score, mpscnn.Box(1, 2, 3, 4), 0) for score in (0.9, 0.6, 0.3)]
    return mpscnn.Detections(tuple(one), (8, 8), "cpu", "float32", "", 1.0)


def segmentation() -> mpscnn.Segmentation:
    return mpscnn.Segmentation(np.zeros((4, 4), np.uint8), ("sky",), "cpu", "float32", "", 1.0)


OBJECTS: dict[str, Callable[[], Any]] = {
    "mpscnn": lambda: mpscnn,
    "Model": mpscnn.load,
    "LentSession": lambda: mpscnn.load().session(),
    "Network": network,
    "Tensor": lambda: network().input,
    "Trainer": lambda: mpscnn.Trainer(network()),
    "History": lambda: mpscnn.History(()),
    "Epoch": lambda: mpscnn.Epoch(1, 0.5, 0.5, None, None, 0.1, 1.0),
    "Prediction": lambda: mpscnn.Prediction("cat", 0.9, 3),
    "Detection": lambda: detections()[0],
    "Area": lambda: segmentation().areas[0],
    "Classification": lambda: mpscnn.load().predict(PHOTO),
    "Detections": detections,
    "Segmentation": segmentation,
    "Program": lambda: network().compile(),
    "Session": lambda: network().compile().session(),
    "Runner": lambda: mpscnn.Runner(network().compile()),
    "FrameFuture": lambda: mpscnn.Runner(network().compile()).submit(X),
    "Request": lambda: network().compile().session().submit(X),
    "FeatureExtractor": lambda: mpscnn.FeatureExtractor(network(), "conv2d_1"),
    "ImageFolder": image_folder,
    "Video": lambda: mpscnn.video(_CAT, mpscnn.load()),
    "VideoFrame": lambda: VideoFrame(0, 0.0, PHOTO, 0.0),
    "Evaluation": lambda: mpscnn.evaluate(mpscnn.load(), [(PHOTO, 0)]),
    "DetectorEvaluation": lambda: mpscnn.DetectorEvaluation(1, *[0.5] * 7, {}, (), 1.0),
    "SegmenterEvaluation": lambda: mpscnn.SegmenterEvaluation(("sky",), np.ones((1, 2), np.int64), 1, 1.0),
    "Comparison": lambda: mpscnn.compare(network(), network()),
    "Profile": lambda: network().compile().session().profile(X, runs=1),
    "Image": lambda: mpscnn.Image(2, 2, 3),
    "TemporaryImage": lambda: mpscnn.TemporaryImage(mpscnn.CommandQueue().command_buffer(), 2, 2, 3),
    "CommandQueue": mpscnn.CommandQueue,
    "CommandBuffer": lambda: mpscnn.CommandQueue().command_buffer(),
}
