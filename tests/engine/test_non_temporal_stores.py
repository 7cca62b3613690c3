"""Non-temporal stores of a resize's large results give the same bits as other stores, wherever the memory begins."""

import numpy as np
import pytest

import mpscnn

WIDTH, CHANNELS = 513, 21


def resized(height: int, *, in_arena: bool) -> mpscnn.Program:
    """Compile a resize. Its result is the network's, or lies in the arena and is read by a relu without effect."""
    network = mpscnn.Network(input=(9, 33, CHANNELS))
    y = network.resize(network.input, (height, WIDTH), alignment="corners")
    network.output(network.activation(y, "relu") if in_arena else y)
    return network.compile(device="cpu", precision="float32")


@pytest.mark.parametrize("offset", [0, 1, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_bits_are_those_of_a_result_in_the_arena(offset: int, threads: int) -> None:
    kept = min(resized(16, in_arena=False).explain(threads=1).last_level_bytes, 8 << 20)
    height = max(33, kept // (WIDTH * CHANNELS * 4) + 2)
    x = np.random.default_rng(1).uniform(0.5, 1, (1, 9, 33, CHANNELS)).astype(np.float32)
    memory = np.full(height * WIDTH * CHANNELS + 16, 7, np.float32)
    result = memory[offset : offset + height * WIDTH * CHANNELS].reshape(1, height, WIDTH, CHANNELS)
    resized(height, in_arena=False).session(threads=threads).run(x, out=result)
    np.testing.assert_array_equal(result, resized(height, in_arena=True).session(threads=1).run(x))
    np.testing.assert_array_equal(np.delete(memory, np.s_[offset : offset + result.size]), 7)
