"""Read networks as other programs would write them, and compare them with LiteRT and the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from exact_engines import litert_results

import mpscnn
from mpscnn import converters, models


def write_tflite(network: mpscnn.Network, path: Path) -> None:
    """Write a network without the entries by which the reader recognises files of mpscnn."""
    network.save(path)
    path.write_bytes(path.read_bytes().replace(b"mpscnn.", b"others."))


NETWORKS: dict[str, Callable[..., Any]] = {
    "mobilenet_v3_small": models.mobilenet_v3_small,
    "mobilenet_v4_conv_small": models.mobilenet_v4_conv_small,
    "shufflenet_v2_x0_5": models.shufflenet_v2_x0_5,
    "squeezenet1_1": models.squeezenet1_1,
    "mnasnet0_5": models.mnasnet0_5,
    "lraspp_mobilenet_v3_large": models.lraspp_mobilenet_v3_large,
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_come_back(tmp_path: Path, name: str) -> None:
    network = NETWORKS[name](input_size=64)
    network.initialize_weights(seed=1)
    path, shape = tmp_path / "network.tflite", (1, 64, 64, 3)
    write_tflite(network, path)
    x = np.random.default_rng(0).normal(0.0, 1.0, shape).astype(np.float32)
    (expected,) = litert_results(path, x)
    again = converters.read_network([path])
    for one in (network, again):
        found = computed(one, x)
        assert found.shape == expected.shape
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", pytest.param("efficientnet_b0", marks=pytest.mark.full)]
)
def test_a_network_has_as_many_steps_as_from_onnx(tmp_path: Path, name: str) -> None:
    """TensorFlow Lite has no swish, which is two operators."""
    network = getattr(models, name)(input_size=64)
    network.initialize_weights(seed=1)
    write_tflite(network, tmp_path / "network.tflite")
    converters.export_onnx(network, tmp_path / "network.onnx")
    counts = [
        (
            sum(layer["flops"] for layer in read.describe()["layers"]),
            len(read.compile(device="cpu", precision="float32").explain((1, 64, 64, 3)).steps),
        )
        for read in (converters.read_network(tmp_path / f"network.{kind}") for kind in ("tflite", "onnx"))
    ]
    assert counts[0] == counts[1]


def operations(network: mpscnn.Network) -> list[str]:
    return sorted(node["operation"] for node in network.to_dict()["nodes"])


def test_shuffles_and_borders_are_no_layers_of_their_own(tmp_path: Path) -> None:
    """Three operators of a shuffle become one layer, and a border before a convolution becomes its padding."""
    network = models.shufflenet_v2_x0_5(input_size=64)
    network.initialize_weights()
    write_tflite(network, tmp_path / "network.tflite")
    found = operations(converters.read_network([tmp_path / "network.tflite"]))
    found.remove("padding")  # a maximum pooling cannot include this border
    assert found == operations(network)
