"""Test docs/formats.md: each layer of a format is read, or refused with a reason."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def page(generator: dict[str, Any]) -> ModuleType:
    """Return the module that writes the page."""
    module: ModuleType = generator["formats_page"]
    return module


def test_every_operator_of_tensorflow_lite_is_listed(page: ModuleType) -> None:
    read, refused = set(page.TFLITE), set(page.TFLITE_REFUSED)
    assert not read & refused
    assert page.tflite_kinds() == {kind for kind in read | refused if not kind.startswith("CUSTOM")}
