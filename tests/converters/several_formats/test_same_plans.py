"""Test that a network runs by the same plan whether it is read from ONNX, TensorFlow Lite or Keras.

TensorFlow Lite and Keras have no operator for swish with a convolution, and other names and orders of operators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.converters import read_network
from mpscnn.graph.network import Network


def plan(network: Network) -> list[tuple[Any, ...]]:
    """Return the kernel, the way to compute and the time that the cost model predicts, for each step."""
    program = network.compile(device="cpu", precision="float32")
    steps = program.explain(threads=1).steps
    return [(step.kernel, step.choice, step.predicted_us, len(step.layers)) for step in steps]


def read_again(network: Network, path: Path) -> Network:
    """Write a network to a file, and read it as if another program had written it."""
    network.save(path)
    if path.suffix == ".tflite":
        path.write_bytes(path.read_bytes().replace(b"mpscnn", b"others"))
    return read_network([path])


def detector_block(side: int) -> Network:
    """Return a network with the blocks of YOLOv8: swish, parts of channels, poolings at stride 1 and an enlargement."""
    network = Network(input=(side, side, 3))

    def convolution(x: Any, filters: int, size: int, strides: int = 1) -> Any:
        y = network.conv2d(x, filters, size, strides=strides, padding="same")
        return network.activation(y, "swish")

    x = convolution(network.inputs[0], 16, 3, 2)
    whole = convolution(x, 32, 1)
    first, second = (network.slice(whole, channels=(begin, begin + 16)) for begin in (0, 16))
    inner = convolution(convolution(second, 16, 3), 16, 3)
    joined = convolution(network.concatenate([first, second, network.add(second, inner)]), 32, 1)
    down = convolution(joined, 64, 3, 2)
    pooled = network.max_pool2d(down, 5, strides=1, padding="same")
    y = network.concatenate([network.resize(pooled, scale=2), joined])
    network.output(network.conv2d(y, 20, 1))
    network.initialize_weights(seed=1)
    return network


@pytest.mark.parametrize("name", [pytest.param("efficientnet_b0", marks=pytest.mark.full), "detector"])
def test_swish_of_tensorflow_lite_is_a_part_of_its_convolution(tmp_path: Path, name: str) -> None:
    if name == "detector":
        network = detector_block(64)
    else:
        network = mpscnn.models.efficientnet_b0(input_size=(64, 64), classes=10)
        network.initialize_weights(seed=1)
    wanted = plan(read_again(network, tmp_path / "file.onnx"))
    assert plan(read_again(network, tmp_path / "file.tflite")) == wanted


@pytest.mark.full
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
def test_networks_of_keras_run_like_those_of_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=10)
    model.save(tmp_path / "file.keras")
    network = read_network([tmp_path / "file.keras"])
    wanted = plan(network)
    assert plan(read_again(network, tmp_path / "file.onnx")) == wanted
    others = plan(read_again(network, tmp_path / "file.tflite"))
    kinds = [[step[0] for step in steps] for steps in (wanted, others)]
    # TensorFlow Lite has no operator for the factor and the offset of each channel of the photo, so there are two.
    assert len(kinds[1]) - len(kinds[0]) <= np.count_nonzero(np.array(kinds[0]) == "affine")
