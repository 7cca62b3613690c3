"""Test the transforms of published weights as preprocessing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import models
from mpscnn.models.photo_transforms import PhotoTransform, torchvision_transform


def test_the_fraction_gives_the_resized_side_back() -> None:
    for resize in range(1, 700):
        for crop in range(max(1, resize - 200), resize + 1):
            assert math.floor(crop / torchvision_transform(resize, crop).crop) == resize


@pytest.mark.parametrize(("resize", "crop"), [(232, 224), (255, 240), (342, 299)])
def test_a_model_file_keeps_the_fraction(tmp_path: Path, resize: int, crop: int) -> None:
    network = mpscnn.Network(input=(8, 8, 3), name="pool")
    network.output(network.global_average_pool2d(network.input, name="mean"))
    settings = torchvision_transform(resize, crop).settings()
    network.save(tmp_path / "a.safetensors", preprocess=settings)
    kept = mpscnn.load(tmp_path / "a.safetensors", device="cpu").preprocess
    assert kept is not None
    assert math.floor(crop / json.loads(json.dumps(kept))["crop_fraction"]) == resize


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (models.resnet18, PhotoTransform()),
        (models.shufflenet_v2_x1_5, torchvision_transform(232)),
        (models.mnasnet0_75, torchvision_transform(232)),
        (models.efficientnet_b1, torchvision_transform(256, 240, "bicubic")),
        (models.efficientnet_v2_l, torchvision_transform(480, 480, "bicubic", "tensorflow")),
        (models.efficientnet_lite0, PhotoTransform(filter="bicubic")),
        (models.mobilenet_v4_conv_small, PhotoTransform(filter="bicubic")),
    ],
)
def test_networks_have_the_photos_of_their_weights(build: Any, expected: PhotoTransform) -> None:
    assert build().preprocess == expected.settings()


def test_the_border_has_the_mean() -> None:
    """A photo that is wider than high gets bars, whose normalised values are about 0."""
    settings = PhotoTransform(1.0, "bicubic", "border").settings()
    pixels = np.zeros((16, 32, 3), np.uint8)
    x = mpscnn.preprocess(pixels, 32, settings)[0]
    assert np.abs(x[:8]).max() < 0.01
    assert np.abs(x[24:]).max() < 0.01
    assert x[8:24].max() < -1.5
