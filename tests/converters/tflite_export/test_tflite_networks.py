"""Whole networks of torchvision and timm, and detectors and segmenters, give the same results in LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import results
from exact_engines import litert_results

import mpscnn
from mpscnn import models
from mpscnn.converters import read_network

pytestmark = pytest.mark.full

NETWORKS = [
    "deeplabv3_mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s", "lraspp_mobilenet_v3_large",
    "mnasnet1_0", "mobilenet_v2_torch", "mobilenet_v3_large", "mobilenet_v4_conv_small",
    "mobilenet_v4_hybrid_medium", "resnet18", "resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0",
    "squeezenet1_1", "deeplab_v3", "ssd_mobilenet_v1", "ssdlite320_mobilenet_v3_large",
    "ssdlite_mobilenet_v2", "ultraface_slim",
]  # fmt: skip
#: Networks whose numbers grow from layer to layer with random weights, so that rounding errors grow, too.
SMALLER = {"efficientnet_v2_s": 0.7}


def built(name: str) -> mpscnn.Network:
    build: Any = getattr(models, name)
    network: mpscnn.Network = build() if name == "ultraface_slim" else build(input_size=96)
    network.initialize_weights(seed=1)
    network.detection = None  # the results are compared before boxes are chosen
    factor = SMALLER.get(name, 1.0)
    network.load_weights({key: values * factor for key, values in network.weights.items()}, layout="OHWI")
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, tmp_path: Path) -> None:
    network, path = built(name), tmp_path / "network.tflite"
    network.save(path)
    shape = [extent or 0 for extent in network.input.shape[1:]]
    x = np.random.default_rng(0).normal(0, 1, (1, *shape)).astype(np.float32)
    right, read = results(network, x), read_network(path)
    for found, again, expected in zip(litert_results(path, x), results(read, x), right, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5 * np.abs(expected).max())
        assert np.array_equal(again, expected)
    found_kinds, right_kinds = (
        sorted(node["operation"] for node in one.to_dict()["nodes"]) for one in (read, network)
    )
    assert found_kinds == right_kinds


@pytest.mark.parametrize("name", NETWORKS)
def test_halves(name: str, tmp_path: Path) -> None:
    """A file of float16 has half the size, and its weights are those of numpy's rounding."""
    network = built(name)
    network.save(tmp_path / "halves.tflite", dtype="float16")
    network.save(tmp_path / "floats.tflite")
    halves, floats = ((tmp_path / f"{kind}.tflite").stat().st_size for kind in ("halves", "floats"))
    assert halves < 0.6 * floats
    read = read_network(tmp_path / "halves.tflite").weights
    for key, values in network.weights.items():
        if key.endswith(".weight"):
            assert np.array_equal(read[key], values.astype(np.float16).astype(np.float32)), key
