"""Run raw kernels on the device that --device names: all engines pass the same tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import index_rule
from kernels_here import device_trains
from metal.emulation import find, watched

import mpscnn


@pytest.fixture(autouse=True)
def queue_of_chosen_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `index_rule.encode` use a command queue of the chosen device. The queue ends with each test."""
    device = str(request.config.getoption("--device"))
    if device == "cpu":
        yield
        return
    with watched(find()), monkeypatch.context() as patch:
        patch.setattr(index_rule, "QUEUE", mpscnn.CommandQueue(device))
        yield


@pytest.fixture
def operations_of_training(request: pytest.FixtureRequest) -> None:
    """Skip tests that encode operations of training, if the device does not run these."""
    device = str(request.config.getoption("--device"))
    if not device_trains(device):
        pytest.skip(f"{device} does not run operations of training; test_rules.py looks that it says so")
