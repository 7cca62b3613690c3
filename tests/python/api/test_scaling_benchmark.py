"""Test the schedule of items that benchmarks/scaling.py simulates for more threads than the machine has."""

from __future__ import annotations

from types import ModuleType

import pytest
from project_scripts import script


@pytest.fixture
def scaling() -> ModuleType:
    module: ModuleType = script("benchmarks", "scaling")
    return module


def test_static_parts_are_contiguous(scaling: ModuleType) -> None:
    assert scaling.static_makespan([1, 1, 1, 9], 2) == 10
    assert scaling.static_makespan([1, 2, 3], 3) == 3
    assert scaling.static_makespan([5], 4) == 5


def test_dynamic_items_go_to_whoever_is_free(scaling: ModuleType) -> None:
    assert scaling.dynamic_makespan([1, 1, 1, 9], 2) == 10
    assert scaling.dynamic_makespan([9, 1, 1, 1], 2) == 9
    assert scaling.dynamic_makespan([4, 4, 4], 2) == 8


def test_items_of_a_network_are_those_of_its_steps(scaling: ModuleType) -> None:
    import mpscnn

    network = mpscnn.Network(input=(32, 32, 16))
    y = network.conv2d(network.input, 64, 3, strides=2, padding="same")
    network.output(network.max_pool2d(network.resize(y, (64, 64)), 2))
    network.initialize_weights()
    alone, shared = (scaling.measured(network, threads, runs=3) for threads in (1, 4))
    assert len(alone) == len(shared) == len(network.compile(device="cpu").explain(threads=1).steps)
    assert all(len(step.items) == 1 for step in alone)
    assert max(len(step.items) for step in shared) >= 4
