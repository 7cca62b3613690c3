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
    """Fail a test on a Metal device that broke a rule of Metal or left an object.

    `pytest_configure` in tests/conftest.py makes device="auto" mean the chosen device.
    """
    if chosen_device == "cpu":
        yield
        return
    with watched(find()):
        yield
