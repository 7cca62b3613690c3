"""Check after every test of the Metal engine that no rule of Metal was broken and no Metal object is left.

Where mpscnn has no Metal engine, these tests are not collected; tests/conftest.py says so in pytest's header.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from metal.emulation import Emulation, find, load, watched

import mpscnn

collect_ignore_glob = [] if "metal" in mpscnn.build_config()["backends"] else ["test_*.py"]


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a new cache, so that each test run checks the device again.

    The emulation is slower than the CPU engine, so a preflight would make "auto" the CPU (test_preflight.py).
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPSCNN_PREFLIGHT", "off")
        patch.setenv("MPSCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def emulation(request: pytest.FixtureRequest) -> Iterator[Emulation | None]:
    """Fail a test that broke a rule or left an object. On a real GPU only tests marked "gpu" run, without checks."""
    loaded = find() if request.node.get_closest_marker("gpu") else load()
    with watched(loaded):
        yield loaded
