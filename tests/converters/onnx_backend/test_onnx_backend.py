"""Run the ONNX project's own backend test: no case is wrong, and onnx_backend_cases.json has what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

from converters import onnx_backend_cases  # noqa: E402 - needs the package

RECORD = json.loads(onnx_backend_cases.RECORD.read_text("utf-8"))
PAGE = Path(__file__).resolve().parents[3] / "docs" / "onnx_backend.md"
#: Marks of the categories that take longer than a second.
SLOW = {"operators": pytest.mark.ci, "real networks with light weights": pytest.mark.full}


@pytest.mark.parametrize(
    "category", [pytest.param(name, marks=SLOW.get(name, ())) for name in onnx_backend_cases.CATEGORIES]
)
def test_no_case_is_wrong_and_the_record_has_all(category: str) -> None:
    results = onnx_backend_cases.results_of(category)
    assert not results.wrong
    if onnx.__version__ == RECORD["onnx"]:  # other versions have other cases
        run = "run: python tests/converters/onnx_backend_cases.py"
        assert onnx_backend_cases.recorded(results) == RECORD["categories"][category], run


def test_the_page_states_the_numbers_of_the_record() -> None:
    categories = RECORD["categories"].values()
    passed = sum(category["passed"] for category in categories)
    refused = sum(len(names) for category in categories for names in category["refused"].values())
    text = " ".join(PAGE.read_text("utf-8").split())
    assert f"onnx {RECORD['onnx']}: {passed} have the right results, and {refused} are refused" in text


def test_errors_and_wrong_answers_are_no_refusals() -> None:
    collected = onnx_backend_cases._Collected()

    class Cases:
        def __init__(self, name: str) -> None:
            self._name = name

        def id(self) -> str:
            return f"module.Cases.{self._name}_cpu"

    collected.addError(Cases("test_a"), (None, ValueError("what"), None))
    collected.addFailure(Cases("test_b"), (None, AssertionError("not equal"), None))
    assert set(collected.results.wrong) == {"test_a", "test_b"}
