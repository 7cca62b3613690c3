"""What every test of the Metal engine must leave behind: no broken rule and no object."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from metal.emulation import Emulation, load


@pytest.fixture(autouse=True)
def emulation() -> Iterator[Emulation]:
    """Fails a test that broke a rule or left an object behind."""
    loaded = load()
    loaded.reset()
    yield loaded
    gc.collect()
    alive = loaded.live_objects()
    violations = loaded.violations()
    loaded.reset()
    assert not violations
    assert alive == ""
