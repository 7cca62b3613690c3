"""docs/formats.md: every layer of a format is read or refused with a reason."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The script that writes the page."""
    return runpy.run_path(str(DOCS / "write_formats.py"))


def test_the_page_is_up_to_date(page: dict[str, Any]) -> None:
    assert (DOCS / "formats.md").read_text("utf-8") == page["text"](), "run: python docs/write_formats.py"


def test_every_operator_of_tensorflow_lite_is_listed(page: dict[str, Any]) -> None:
    read, refused = set(page["TFLITE"]) | set(page["TFLITE_SHAPES"]), set(page["TFLITE_REFUSED"])
    assert not read & refused
    assert page["tflite_kinds"]() == {kind for kind in read | refused if not kind.startswith("CUSTOM")}
