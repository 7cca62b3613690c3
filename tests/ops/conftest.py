"""Run single operations on the device that --device names: all engines pass the same tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from metal.emulation import find, watched


@pytest.fixture(scope="session")
def chosen_device(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--device"))


@pytest.fixture(autouse=True)
def emulation_watched(chosen_device: str) -> Iterator[None]:
    """Compile networks with device="auto" for the chosen device; see the top conftest.py."""
    if chosen_device == "cpu":
        yield
        return
    with watched(find()):
        yield
