"""Run the ONNX project's own backend test: no case is wrong, and docs/onnx_backend_cases.md lists what is refused."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")

DOCS = Path(__file__).resolve().parents[3] / "docs"
SCRIPT: dict[str, Any] = runpy.run_path(
    str(DOCS / "generate" / "onnx_backend_page.py"), run_name="onnx_backend_page"
)
PAGE = (DOCS / "onnx_backend_cases.md").read_text("utf-8")
#: Marks of the categories that take longer than a second.
SLOW = {"operators": pytest.mark.ci, "real networks with light weights": pytest.mark.full}


def section_of(category: str) -> str:
    """Return the part of the page about a category."""
    found = re.search(rf"^## {category}: .*?(?=\n## |\Z)", PAGE, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    assert found is not None
    return found[0].strip()


@pytest.mark.parametrize(
    "category", [pytest.param(name, marks=SLOW.get(name, ())) for name in SCRIPT["CATEGORIES"]]
)
def test_no_case_is_wrong_and_the_page_names_all(category: str) -> None:
    results = SCRIPT["results_of"](category)
    assert not results.wrong
    if f"package onnx\n{onnx.__version__}.\n" in PAGE:  # other versions have other cases
        written = SCRIPT["section"](category, results).strip()
        assert section_of(category) == written, "run: python docs/generate/onnx_backend_page.py"


def test_errors_and_wrong_answers_are_no_refusals() -> None:
    collected = SCRIPT["_Collected"]()

    class Cases:
        def __init__(self, name: str) -> None:
            self._name = name

        def id(self) -> str:
            return f"module.Cases.{self._name}_cpu"

    collected.addError(Cases("test_a"), (None, ValueError("what"), None))
    collected.addFailure(Cases("test_b"), (None, AssertionError("not equal"), None))
    assert set(collected.results.wrong) == {"test_a", "test_b"}
