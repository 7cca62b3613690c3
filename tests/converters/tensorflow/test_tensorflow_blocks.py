"""Test dilated convolutions that TensorFlow computes on blocks of the batch: SpaceToBatchND and BatchToSpaceND."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converters.tensorflow_writer import Graph

import mpscnn
from mpscnn.converters import read_network

RANDOM = np.random.default_rng(12)


@pytest.mark.parametrize(("sides", "crops"), [([0, 0], [0, 0]), ([2, 1], [0, 0]), ([2, 1], [1, 2])])
def test_a_dilated_convolution_of_sequences(sides: list[int], crops: list[int], tmp_path: Path) -> None:
    """TensorFlow divides the steps into blocks of the batch, and convolves them as images of one row."""
    x = RANDOM.normal(0, 1, (2, 12 - sum(sides) % 2, 3)).astype(np.float32)
    kernel = RANDOM.normal(0, 0.4, (1, 3, 3, 5)).astype(np.float32)
    bias = RANDOM.normal(0, 0.4, 5).astype(np.float32)
    graph = Graph()
    blocks = graph.node(
        "SpaceToBatchND", graph.placeholder(-1, *x.shape[1:]), graph.constant([2]), graph.constant([sides])
    )
    image = graph.node("ExpandDims", blocks, graph.constant(-3))
    made = graph.node("Conv2D", image, graph.constant(kernel), strides=[1, 1, 1, 1], padding="VALID")
    made = graph.node("BiasAdd", graph.node("Squeeze", made, squeeze_dims=[-3]), graph.constant(bias))
    graph.node("BatchToSpaceND", made, graph.constant([2]), graph.constant([crops]), name="result")
    padded = np.pad(x, ((0, 0), sides, (0, 0))).astype(np.float64)
    right = sum(padded[:, 2 * k : padded.shape[1] - 4 + 2 * k] @ kernel[0, k] for k in range(3)) + bias
    found = read_network([graph.save(tmp_path / "graph.pb")]).compile().run(x)
    assert found.shape == (2, padded.shape[1] - 4 - sum(crops), 5)
    np.testing.assert_allclose(found, right[:, crops[0] : right.shape[1] - crops[1]], atol=1e-5)


def test_a_convolution_that_is_dilated_along_its_height(tmp_path: Path) -> None:
    x = RANDOM.normal(0, 1, (2, 6, 7, 3)).astype(np.float32)
    kernel = RANDOM.normal(0, 0.4, (3, 1, 3, 5)).astype(np.float32)
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    blocks = graph.node("SpaceToBatchND", image, graph.constant([2]), graph.constant([[0, 0]]))
    made = graph.node("Conv2D", blocks, graph.constant(kernel), strides=[1, 1, 1, 1], padding="VALID")
    graph.node("BatchToSpaceND", made, graph.constant([2]), graph.constant([[0, 0]]), name="result")
    right = sum(x[:, 2 * k : 2 + 2 * k].astype(np.float64) @ kernel[k, 0] for k in range(3))
    found = read_network([graph.save(tmp_path / "graph.pb")]).compile().run(x)
    np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 2, 3])
def test_other_axes_within_blocks_are_refused(axis: int, tmp_path: Path) -> None:
    graph = Graph()
    blocks = graph.node(
        "SpaceToBatchND", graph.placeholder(-1, 6, 3), graph.constant([2]), graph.constant([[0, 0]])
    )
    graph.node("ExpandDims", blocks, graph.constant(axis), name="result")
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"'result' .*changes the axes of images that are divided"
    ):
        read_network([graph.save(tmp_path / "graph.pb")])
