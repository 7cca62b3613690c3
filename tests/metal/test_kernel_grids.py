"""Tests of the threadgroups of shaders on images: idle threads, and enough groups for all cores."""

from __future__ import annotations

import numpy as np
import pytest
from metal.emulation import Emulation

import mpscnn


@pytest.mark.parametrize(
    ("size", "channels", "groups", "idle"),
    [
        # Groups have 28 x 4 x 2 or 28 x 8 x 1 threads, so none is idle.
        (112, 8, 112, 0.0),
        (56, 16, 56, 0.0),
        (28, 16, 14, 0.0),
        # Groups of 7 x 7 x 5 or 4 threads, one of seven or eight simdgroups.
        (14, 80, 16, 0.045),
        (7, 80, 4, 0.045),
        # A single group takes all threads.
        (1, 400, 1, 0.28),
    ],
)
def test_few_threads_are_idle(
    emulation: Emulation, size: int, channels: int, groups: int, idle: float
) -> None:
    """Compare the threads of one activation with its vectors of four channels. Copies have their own grids."""
    net = mpscnn.Network(input=(size, size, channels))
    net.output(net.activation(net.input, "mish"))
    twice = mpscnn.Network(input=(size, size, channels))
    twice.output(twice.activation(twice.activation(twice.input, "mish"), "mish"))

    def started(network: mpscnn.Network) -> tuple[int, int]:
        session = network.compile(device="metal").session()
        before = emulation.get("threadgroups_started"), emulation.get("threads_started")
        session.run(np.zeros((1, size, size, channels), np.float32))
        return emulation.get("threadgroups_started") - before[0], emulation.get("threads_started") - before[1]

    one, two = started(net), started(twice)
    vectors = size * size * channels // 4
    assert two[0] - one[0] == groups
    assert (two[1] - one[1]) / vectors - 1 == pytest.approx(idle, abs=0.002)
