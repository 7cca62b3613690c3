"""Check the rules that all tests keep, so that each test gives the same result on each machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

# ---- Other engines ------------------------------------------------------------------------------------------

#: Names that open a model in another engine with kernels that may saturate, and what tests use instead.
ENGINES = {
    **dict.fromkeys(("InferenceSession", "ModelPackageContext"), "exact_engines.onnxruntime_session"),
    **dict.fromkeys(("Interpreter", "InterpreterWithCustomOps"), "exact_engines.litert_interpreter"),
    **dict.fromkeys(("quantize_dynamic", "quantize_per_tensor", "quantize_per_channel"), "tests/reference"),
}
#: The file whose functions open these engines.
ONLY_IN = "exact_engines.py"


def names_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield each name that the code uses or imports, or takes from a module by a string, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            values = [value.value for value in node.args if isinstance(value, ast.Constant)]
            yield from ((node.lineno, value) for value in values if isinstance(value, str))


def engines_opened_in(source: str) -> list[str]:
    """Return a sentence for each place of the code that opens another engine."""
    found = sorted({place for place in names_in(source) if place[1] in ENGINES})
    return [f"line {line} uses {name}: use {ENGINES[name]}" for line, name in found]


def test_other_engines_compute_exactly() -> None:
    wrong = {
        str(path.relative_to(TESTS)): found
        for path in sorted(TESTS.rglob("*.py"))
        if path.name != ONLY_IN and (found := engines_opened_in(path.read_text("utf-8")))
    }
    assert not wrong


@pytest.mark.parametrize(
    "source",
    [
        "import onnxruntime\nonnxruntime.InferenceSession(path)",
        "import onnxruntime as ort\nsession = ort.InferenceSession(path, options)",
        "from onnxruntime import InferenceSession",
        'getattr(pytest.importorskip("onnxruntime"), "InferenceSession")(path)',
        'interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter',
        "from ai_edge_litert.interpreter import Interpreter as Judge",
        "torch.ao.quantization.quantize_dynamic(module)",
    ],
)
def test_every_way_to_open_an_engine_is_noticed(source: str) -> None:
    assert len(engines_opened_in(source)) == 1
