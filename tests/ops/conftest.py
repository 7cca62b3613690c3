"""Single operations run on the device that --device names: all engines are judged by the same tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from metal.emulation import load, watched

import mpscnn


@pytest.fixture(scope="session")
def chosen_device(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--device"))


@pytest.fixture(autouse=True)
def on_chosen_device(chosen_device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks that leave the choice to "auto" are compiled for the chosen device."""
    if chosen_device == "cpu":
        yield
        return
    compile_for = mpscnn.Network.compile

    def compile_network(network: mpscnn.Network, *, device: str = "auto", **options: Any) -> mpscnn.Program:
        return compile_for(network, device=chosen_device if device == "auto" else device, **options)

    monkeypatch.setattr(mpscnn.Network, "compile", compile_network)
    with watched(load()):
        yield
