"""Test that accumulate_dtype="float16" lets MPS' convolutions accumulate in float16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn


def network_of(kind: str) -> mpscnn.Network:
    network = mpscnn.Network((9, 8, 40))
    if kind == "dense":
        network.output(network.dense(network.input, 12, name="layer"))
    else:
        network.output(network.conv2d(network.input, 12, 3, name="layer"))
    network.initialize_weights(seed=1)
    return network


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_sums_of_mps_are_halves(kind: str) -> None:
    network = network_of(kind)
    x = np.random.default_rng(2).normal(size=(2, 9, 8, 40)).astype(np.float32)

    def results(device: str, dtype: Any) -> Any:
        program = network.compile(device=device, precision="float16", accumulate_dtype=dtype)
        assert program.accumulate_dtype == dtype
        return program.session().run(x)

    in_floats, in_halves = results("metal", "float32"), results("metal", "float16")
    assert not np.array_equal(in_floats, in_halves)
    # The error must be like that of the CPU's float16 sums. Results differ, because MPS adds in another order.
    error = np.abs(in_halves - in_floats).max()
    assert 0 < error < 3 * np.abs(results("cpu", "float16") - results("cpu", "float32")).max()


def test_own_shaders_sum_in_float32() -> None:
    network = mpscnn.Network((9, 8, 12))
    network.output(network.depthwise_conv2d(network.input, 3, name="layer"))
    network.initialize_weights(seed=1)
    x = np.random.default_rng(2).normal(size=(1, 9, 8, 12)).astype(np.float32)
    programs = [
        network.compile(device="metal", precision="float16", accumulate_dtype=dtype)
        for dtype in ("float16", "float32")
    ]
    np.testing.assert_array_equal(*(program.session().run(x) for program in programs))
