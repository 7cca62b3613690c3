"""Test the Forge LeNet: its raw float32 weight files, and the whole MNIST test set."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn

# The author gives 99.21% (9,921 of 10,000). Rounding may change two images.
AUTHORS_COUNT, ROUNDING = 9921, 2


def lenet(directory: Path) -> mpscnn.Network:
    network = mpscnn.Network(input=(28, 28, 1), name="forge_lenet")
    x = network.conv2d(network.input, 20, 5, padding="same", activation="relu", name="conv1")
    x = network.max_pool2d(x, 2)
    x = network.conv2d(x, 50, 5, padding="same", activation="relu", name="conv2")
    x = network.max_pool2d(x, 2)
    x = network.dense(x, 320, activation="relu", name="fc1")
    network.output(network.softmax(network.dense(x, 10, name="fc2")))
    network.load_raw_weights(directory, {"weight": "{layer}_W.bin", "bias": "{layer}_b.bin"})
    return network


def mnist(path: Path, header: int) -> NDArray[np.uint8]:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


@pytest.mark.ci
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_whole_test_set(shared: Path, precision: str) -> None:
    images = mnist(shared / "data/mnist/t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels = mnist(shared / "data/mnist/t10k-labels-idx1-ubyte.gz", 8)
    session = lenet(shared / "models/forge_lenet").compile(device="cpu", precision=precision).session()
    found = [
        np.asarray(session.run(images[i : i + 500].astype(np.float32))).argmax(axis=1)
        for i in range(0, 10_000, 500)
    ]
    right = int((np.concatenate(found) == labels).sum())
    assert abs(right - AUTHORS_COUNT) <= ROUNDING


def test_wrong_files_are_named(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(2, 2, 1))
    network.dense(network.input, 3, name="fc")
    with pytest.raises(mpscnn.WeightsError, match=r"fc_weight\.bin: cannot be read"):
        network.load_raw_weights(tmp_path)
    (tmp_path / "fc_weight.bin").write_bytes(b"\0" * 44)
    with pytest.raises(mpscnn.WeightsError, match=r"44 bytes, but 48 are expected: float32 \(3, 2, 2, 1\)"):
        network.load_raw_weights(tmp_path)
    (tmp_path / "fc_weight.bin").write_bytes(b"\0" * 48)
    network.load_raw_weights(tmp_path)  # the bias is optional
    assert network.weights["fc.weight"].shape == (3, 2, 2, 1)
