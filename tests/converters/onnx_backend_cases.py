"""Record which cases of the ONNX project's backend test mpscnn refuses, and why.

After the ONNX reader was extended, or with a newer package onnx, run `python tests/converters/onnx_backend_cases.py`.
It writes onnx_backend_cases.json next to it, and docs/onnx_backend.md states the numbers.
"""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
import unittest
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from mpscnn import UnsupportedError, onnx_backend
from mpscnn.converters.opening.unsupported import UnsupportedLayersError

RECORD = Path(__file__).resolve().with_suffix(".json")
#: The categories of ONNX' runner, by the names that the record gives them.
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


def recorded(results: Results) -> dict[str, Any]:
    """Return the record of a category: the number of passed cases, and the refused ones by their reasons."""
    return {
        "passed": len(results.passed),
        "refused": {
            reason: sorted(
                name.removeprefix("test_") for name, given in results.refused.items() if given == reason
            )
            for reason in sorted(set(results.refused.values()))
        },
    }


def main() -> None:
    """Write the record."""
    found = {category: results_of(category) for category in CATEGORIES}
    wrong = {name: fault for results in found.values() for name, fault in results.wrong.items()}
    if wrong:
        raise SystemExit("\n".join(f"{name}: {fault}" for name, fault in wrong.items()))
    record = {
        "onnx": onnx.__version__,
        "categories": {category: recorded(results) for category, results in found.items()},
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
