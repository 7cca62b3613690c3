"""Run the ONNX project's own backend test: no case is wrong, and docs/onnx_backend_cases.md lists what is refused."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import mpscnn

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
    if f"package onnx\n{onnx.__version__}.\n" in PAGE:
        written = SCRIPT["section"](category, results).strip()
        assert section_of(category) == written, "run: python docs/generate/onnx_backend_page.py"
    else:  # another version of onnx has other cases
        listed = " ".join(section_of(category).split("| refused")[0].split()).replace(",", "").split()
        known = {name.removeprefix("test_"): name for name in results.refused}
        assert not [known[name] for name in listed if name in known]


#: Attributes that change results, and say yes or no by 1 or 0.
FLAGS = {
    "align_corners", "allowzero", "antialias", "ceil_mode", "center_point_box", "count_include_pad",
    "detect_negative", "detect_positive", "exclude_outside", "exclusive", "fmod", "input_forget", "is_causal",
    "keepdims", "largest", "layout", "linear_before_reset", "reverse", "select_last_index", "training_mode",
    "transA", "transB", "upper",
}  # fmt: skip


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_flags_are_neither_more_nor_less_than_yes_or_no() -> None:
    """Engines take other numbers for yes, for no or for an error, so any answer would be wrong for some of them."""
    from onnx.backend.test.case.node import collect_testcases

    import mpscnn.onnx_backend as backend

    seen: set[tuple[str, str]] = set()
    answered: set[tuple[str, str]] = set()
    refused = 0
    for case in collect_testcases(""):
        graph = case.model.graph
        inputs = case.data_sets[0][0]
        if len(graph.node) != 1 or any(isinstance(array, (list, str)) for array in inputs):
            continue
        (node,) = graph.node
        version = next(entry.version for entry in case.model.opset_import if entry.domain == node.domain)
        flags = FLAGS & set(onnx.defs.get_schema(node.op_type, version, node.domain).attributes)
        flags -= {name for operator, name in seen if operator == node.op_type}
        try:
            backend.run_model(case.model, inputs) if flags else None
        except (mpscnn.UnsupportedError, mpscnn.WeightsError, mpscnn.ParameterError):
            continue
        for name in flags:
            seen.add((node.op_type, name))
            changed = onnx.ModelProto()
            changed.CopyFrom(case.model)
            (given,) = changed.graph.node
            kept = [entry for entry in given.attribute if entry.name != name]
            del given.attribute[:]
            given.attribute.extend([*kept, onnx.helper.make_attribute(name, 2)])
            try:
                backend.run_model(changed, inputs)
                answered.add((node.op_type, name))
            except mpscnn.Error as error:
                refused += f"damaged: its {name} is 2, expected 0 or 1" in str(error)
    assert not answered
    assert refused > 30


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
