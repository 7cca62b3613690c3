"""Write docs/onnx_backend_cases.md: the result of mpscnn in each case of the ONNX project's backend test.

Run it after the ONNX reader was extended, or with a newer package onnx: python docs/generate/onnx_backend_page.py
"""

from __future__ import annotations

import os
import tempfile
import textwrap
import unittest
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from mpscnn import UnsupportedError, onnx_backend
from mpscnn.converters.opening.unsupported import UnsupportedLayersError

PAGE = Path(__file__).resolve().parent.parent / "onnx_backend_cases.md"
#: The categories of ONNX' runner, by the names that the page gives them.
CATEGORIES = {
    "operators": "OnnxBackendNodeModelTest",
    "simple models": "OnnxBackendSimpleModelTest",
    "converted from PyTorch": "OnnxBackendPyTorchConvertedModelTest",
    "operators of PyTorch": "OnnxBackendPyTorchOperatorModelTest",
    "real networks with light weights": "OnnxBackendRealModelTest",
}
_SUFFIX = "_cpu"
_PACKAGE = "ONNX' package holds no data of it: they would be downloaded"
_MAX_REASON = 150

INTRODUCTION = f"""# Cases of ONNX' backend test

Look up here which cases of `onnx.backend.test` mpscnn refuses, by name. All others have the right results.
[onnx_backend.md](onnx_backend.md) explains the backend. `docs/generate/onnx_backend_page.py`
writes this page, and a test compares it with the runner's results. The cases are those of the package onnx
{onnx.__version__}.
"""


class Everything(onnx_backend.Backend):
    """mpscnn's backend, changed so that the runner tries every model. Each refusal then has a reason."""

    @classmethod
    def is_compatible(cls, *_: Any, **__: Any) -> bool:
        """Return True for all models, because False would not tell a reason."""
        return True


@dataclass
class Results:
    """The results of a category's cases.

    Attributes:
        passed: the names of cases with the right results.
        refused: the reasons of cases that are refused, by name.
        wrong: descriptions of what is wrong with all other cases, by name.
    """

    passed: list[str]
    refused: dict[str, str]
    wrong: dict[str, str]


class _Collected(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.results = Results([], {}, {})

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Record a case with the right results."""
        self.results.passed.append(_name(test))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        """Record a case that the runner skips. Cases for CUDA are ignored."""
        if test.id().endswith(_SUFFIX):
            self.results.refused[_name(test)] = reason

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        """Record a case that raised an error."""
        error = err[1]
        if isinstance(error, UnsupportedError):
            self.results.refused[_name(test)] = reason_of(error)
        else:
            self.results.wrong[_name(test)] = f"{type(error).__name__}: {error}"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        """Record a case with a wrong result."""
        self.results.wrong[_name(test)] = str(err[1])


def _name(test: unittest.TestCase) -> str:
    return test.id().rpartition(".")[2].removesuffix(_SUFFIX)


def reason_of(error: UnsupportedError) -> str:
    """Return the reason of a refusal, without the model's name. For several layers, return the first layer's reason."""
    if isinstance(error, UnsupportedLayersError):
        layer = error.layers[0]
        text = f"{layer.kind}: {layer.reason}"
    else:
        text = str(error).partition(": ")[2] or str(error)
    return textwrap.shorten(text.replace("|", "/"), _MAX_REASON, placeholder=" ...")


def results_of(category: str) -> Results:
    """Run the cases of a category. Models that the package would have to download are refused with that reason."""
    from onnx.backend.test import BackendTest
    from onnx.backend.test.loader import load_model_tests

    collected = _Collected()
    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package onnx warns while it computes its cases
        before = os.environ.get("ONNX_HOME")
        os.environ["ONNX_HOME"] = home
        try:
            cases = BackendTest(Everything, __name__).test_cases[CATEGORIES[category]]
            for case in load_model_tests(kind="real") if category.startswith("real") else ():
                if case.url and not case.url.startswith("onnx/"):
                    setattr(cases, case.name + _SUFFIX, unittest.skip(_PACKAGE)(lambda _: None))
            unittest.defaultTestLoader.loadTestsFromTestCase(cases).run(collected)
        finally:
            if before is None:
                del os.environ["ONNX_HOME"]
            else:
                os.environ["ONNX_HOME"] = before
    return collected.results


def section(category: str, results: Results) -> str:
    """Return the section of the page for a category."""
    lines = [
        f"## {category[0].upper()}{category[1:]}: {len(results.passed)} passed, {len(results.refused)} refused"
    ]
    if results.refused:
        lines += ["", "| refused because | cases |", "|---|---|"]
    for reason in sorted(set(results.refused.values())):
        names = sorted(name for name, given in results.refused.items() if given == reason)
        lines.append(f"| {reason} | {', '.join(name.removeprefix('test_') for name in names)} |")
    return "\n".join([*lines, ""])


def text(all_results: Mapping[str, Results]) -> str:
    """Return the whole page."""
    counts = ["| cases | passed | refused |", "|---|---|---|"]
    counts += [
        f"| {category} | {len(results.passed)} | {len(results.refused)} |"
        for category, results in all_results.items()
    ]
    passed = sum(len(results.passed) for results in all_results.values())
    refused = sum(len(results.refused) for results in all_results.values())
    counts.append(f"| all | {passed} | {refused} |")
    sections = [section(category, results) for category, results in all_results.items()]
    return "\n".join([INTRODUCTION, *counts, "", *sections]).rstrip() + "\n"


def main() -> None:
    """Write the page."""
    found = {category: results_of(category) for category in CATEGORIES}
    wrong = {name: fault for results in found.values() for name, fault in results.wrong.items()}
    if wrong:
        raise SystemExit("\n".join(f"{name}: {fault}" for name, fault in wrong.items()))
    PAGE.write_text(text(found), "utf-8")


if __name__ == "__main__":
    main()
