"""What every test of the Metal engine must leave behind: no broken rule and no object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from metal.emulation import Emulation, load, watched


@pytest.fixture(autouse=True)
def emulation() -> Iterator[Emulation]:
    """Fails a test that broke a rule or left an object behind."""
    with watched(load()) as loaded:
        yield loaded
