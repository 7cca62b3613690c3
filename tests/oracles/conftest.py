"""Define fixtures for all tests that compare with other engines."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Seed torch, so that modules begin with the same weights at every run."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
