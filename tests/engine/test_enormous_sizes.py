"""Test networks whose tensors would not fit into any memory."""

from __future__ import annotations

import numpy as np
import pytest

from mpscnn import Network, ShapeError


@pytest.mark.parametrize("size", [4, None])
def test_sizes_beyond_all_memory_are_refused(size: int | None) -> None:
    network = Network(input=(size, size, 1))
    enormous = {"scale_y": 1 << 24, "scale_x": 1 << 24}

    def use_two() -> None:
        x = network.layer("resize", [network.input], enormous)
        network.output(network.layer("resize", [x], enormous, name="second"))
        network.compile(device="cpu").output_shapes((1, 4, 4, 1))

    of_images = r"layer 'resize_1': resize: .* elements for each image, at most 1073741824 are allowed"
    of_extents = r"layer 'second': resize: .* an extent is at most 2147483647"
    with pytest.raises(ShapeError, match=of_images if size else of_extents):
        use_two()


@pytest.mark.parametrize("batch", [1, 1 << 30])
def test_inputs_beyond_all_memory_are_refused(batch: int) -> None:
    network = Network(input=(None, None, 1 if batch > 1 else 1 << 24))
    network.output(network.global_max_pool2d(network.input))
    with pytest.raises(ShapeError, match="has too many elements"):
        network.compile(device="cpu").output_shapes((batch, 1 << 24, 1 << 24, network.input.shape[-1] or 1))


def test_memory_that_there_is_not_is_an_error() -> None:
    network = Network(input=(None, None, 1))
    network.output(network.layer("resize", [network.input], {"scale_y": 1 << 22, "scale_x": 1 << 22}))
    session = network.compile(device="cpu", max_memory=1 << 62).session(max_memory=1 << 62)
    x = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(MemoryError, match="cannot be allocated"):
        session.run(x, out=np.zeros(1, np.float32))


@pytest.mark.parametrize("threads", [1, 2])
def test_products_beyond_all_memory_can_be_planned(threads: int) -> None:
    """The plan states its memory, and numbers beyond 64 bits stop a build with sanitizers."""
    network = Network(input=(None, None, 1))
    x = network.layer("resize", [network.input], {"scale_y": 1 << 22, "scale_x": 1 << 22})
    network.output(network.conv2d(x, 64, 1))
    network.initialize_weights(0)
    explained = network.compile(device="cpu", max_memory=1 << 62).explain((1, 4, 4, 1), threads=threads)
    assert explained.arena_bytes > 1 << 50
