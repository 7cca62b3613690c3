"""What the generators of random networks call wrong: neither rounding, nor a package that is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from converters.free_size_graphs import CHANNELS
from converters.onnx_files import model, node
from exact_engines import onnx_in_float64, onnxruntime_results
from generators import run, sources
from generators.ways import MissingPackageError, Wrong, compare, told

import mpscnn

#: Graphs whose results are differences of nearly equal numbers, so that little but rounding is left.
CANCELLING: dict[str, list[Any]] = {
    "sum of a softmax and its mean": [
        node("Softmax", ["x"], "parts", axis=1),
        node("ReduceSum", ["parts", "channels"], "sum", keepdims=1),
        node("ReduceMean", ["sum"], "mean", axes=[2], keepdims=1),
        node("Sub", ["sum", "mean"], "y"),
    ],
    "variance as a difference of squares": [
        node("Add", ["x", "thousand"], "moved"),
        node("Mul", ["moved", "moved"], "squares"),
        node("ReduceMean", ["squares"], "of_squares", axes=[2, 3]),
        node("ReduceMean", ["moved"], "mean", axes=[2, 3]),
        node("Mul", ["mean", "mean"], "square"),
        node("Sub", ["of_squares", "square"], "y"),
    ],
    "difference of large numbers": [
        node("Mul", ["x", "thousand"], "large"),
        node("Mul", ["large", "thousand"], "larger"),
        node("Add", ["larger", "x"], "both"),
        node("Sub", ["both", "larger"], "y"),
    ],
}
CONSTANTS = {"channels": np.array([1]), "thousand": np.float32(1000)}


@pytest.mark.parametrize("graph", CANCELLING)
def test_float64_judges_rounding(graph: str) -> None:
    """The runtime is not right where it rounds more than mpscnn. An error beyond both roundings is still found."""
    made = model(CANCELLING[graph], {"x": ["n", CHANNELS, 5, 7]}, CONSTANTS)
    x = np.random.default_rng(0).uniform(-2, 2, (1, CHANNELS, 5, 7)).astype(np.float32)
    theirs, exact = onnxruntime_results(made, x), onnx_in_float64(made, x)
    assert [one.dtype for one in exact] == [np.float64]
    compare("exact", exact, theirs, lambda: exact)
    error = np.abs(theirs[0] - exact[0]).max()
    assert error > 0
    wrong = max(3 * error, 1e-3)
    with pytest.raises(Wrong, match="with a wrong number: differs by"):
        compare("with a wrong number", [exact[0] + wrong], theirs, lambda: exact)


@pytest.mark.parametrize("kind", sources.SIZES)
def test_graphs_are_judged_by_float64(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime whose rounding errors are large does not make mpscnn wrong."""
    open_session = sources.onnxruntime_session

    class Inexact:
        def __init__(self, made: Any) -> None:
            self.session = open_session(made)

        def run(self, *given: Any) -> list[Any]:
            return [one + np.float32(0.1) for one in self.session.run(*given)]

    monkeypatch.setattr(sources, "onnxruntime_session", Inexact)
    assert sources.finding(sources.READ[f"onnx-{kind}"], 0, Path()) == ""
    monkeypatch.setattr(sources, "onnx_in_float64", lambda made, x: Inexact(made).run(None, {"x": x}))
    assert "differs by 0.1 of" in sources.finding(sources.READ[f"onnx-{kind}"], 0, Path())


def refused_without_package() -> None:
    try:
        raise ModuleNotFoundError("No module named 'absent'", name="absent")
    except ModuleNotFoundError as error:
        raise mpscnn.UnsupportedError("writing needs the package absent") from error


MISSING: dict[str, Callable[[], Any]] = {
    "import": lambda: __import__("absent_package"),
    "import of a test": lambda: pytest.importorskip("absent_package", reason="needs absent_package"),
    "refusal": refused_without_package,
}


@pytest.mark.parametrize("attempt", MISSING.values(), ids=MISSING)
def test_a_missing_package_ends_the_program(
    attempt: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sources.READ, "from_torch", lambda seed, folder: attempt())
    monkeypatch.setattr(sys, "argv", ["run.py", "from_torch", "--count", "1"])
    with pytest.raises(SystemExit) as ended:
        run.main()
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert "from_torch needs a package that is not installed: " in printed.err
    assert "absent" in printed.err
    assert "WRONG" not in printed.out


def test_what_is_told() -> None:
    """A module of mpscnn that is not there is an error of mpscnn, and a refusal is none."""

    def refused() -> None:
        raise mpscnn.UnsupportedError("no such layer")

    assert told(lambda: None) == ""
    assert told(refused) == "refused: no such layer"
    assert told(lambda: __import__("mpscnn.absent")).startswith("ModuleNotFoundError: ")
    with pytest.raises(MissingPackageError, match="absent_package"):
        told(MISSING["import"])
