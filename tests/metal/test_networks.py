"""Segmentation networks and feature extractors on the Metal engine, against the CPU engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.models import deeplab_v3, deeplab_v3_plus, mobilenet_v1_features, mobilenet_v2_features

# Of the largest result, for float32 and float16. Halves: some sixty layers round one after the other.
TOLERANCES = {"float32": 1e-5, "float16": 2e-2}


def results(network: mpscnn.Network, device: str, precision: str) -> dict[str, Any]:
    shape = (1, *(extent or 1 for extent in network.input.shape[1:]))
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    found = network.compile(device=device, precision=precision).session().run(x)
    return found if isinstance(found, dict) else {network.outputs[0].name: found}


def compare(network: mpscnn.Network, precision: str) -> None:
    network.initialize_weights(2)
    expected = results(network, "cpu", precision)
    for name, value in results(network, "metal", precision).items():
        bound = TOLERANCES[precision] * float(np.abs(expected[name]).max())
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=bound)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(("build", "stride"), [(deeplab_v3, 8), (deeplab_v3_plus, 16)])
def test_deeplab(build: Any, stride: int, precision: str) -> None:
    network = build(
        depth_multiplier=0.25, input_size=(33, 40), classes=5, output_stride=stride, atrous_rates=(2,)
    )
    compare(network, precision)


@pytest.mark.parametrize("pooling", [None, "global"])
@pytest.mark.parametrize(
    ("build", "layers"),
    [(mobilenet_v1_features, ["pointwise5", "pointwise11"]), (mobilenet_v2_features, ["expand14", "add3"])],
)
def test_features(build: Any, layers: list[str], pooling: str | None) -> None:
    compare(
        build(extract_layers=layers, pooling=pooling, depth_multiplier=0.25, input_size=(40, 33)), "float32"
    )
