"""Raw kernels run on the device that --device names: all engines are judged by the same tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import index_rule
from metal.emulation import find

import mpscnn


@pytest.fixture(autouse=True)
def queue_of_chosen_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `index_rule.encode` uses. Kernels that all tests share keep what a device made for them."""
    device = str(request.config.getoption("--device"))
    if device == "cpu":
        yield
        return
    emulation = find()
    if emulation:
        emulation.reset()
    monkeypatch.setattr(index_rule, "QUEUE", mpscnn.CommandQueue(device))
    yield
    assert not emulation or not emulation.violations()
