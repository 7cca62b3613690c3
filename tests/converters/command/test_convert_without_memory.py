"""Test `mpscnn convert` if the file's own engine has too little memory: the model is written but not checked."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from converters.onnx_files import model as onnx_model
from converters.onnx_files import node
from systems import limited_memory, needs_memory_limit
from tiers import with_full

from mpscnn.apps.cli import main
from mpscnn.comparison import engine_import, sides
from mpscnn.comparison.engine_import import import_problem

ERRORS = [
    MemoryError(),
    ImportError("libengine.so: failed to map segment from shared object"),
    OSError(12, "Cannot allocate memory"),
    SystemError("error return without exception set"),
    RuntimeError("std::bad_alloc"),
    AttributeError("partially initialized module"),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model([node("Relu", ["x"], "y")], {"x": (1, 3, 4, 5)}).SerializeToString())
    return path


def _convert(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    output = model.with_suffix(".safetensors")
    monkeypatch.setattr(sys, "argv", ["mpscnn", "convert", str(model), str(output)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert output.exists()
    return int(ended.value.code or 0), capsys.readouterr().out


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_engine_that_cannot_be_imported(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    real = importlib.import_module

    def refuse(name: str, package: str | None = None) -> Any:
        if name == "onnxruntime":
            raise error
        return real(name, package)

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(importlib, "import_module", refuse)
    code, said = _convert(model, monkeypatch, capsys)
    assert code == 0
    assert "not checked: " in said
    assert "onnxruntime" in said
    assert "memory" in said or str(error) in said


@pytest.mark.parametrize("error", ERRORS[:4], ids=lambda error: type(error).__name__)
def test_an_engine_that_cannot_run(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(sides, "reference_engine", refuse)
    code, said = _convert(model, monkeypatch, capsys)
    assert code == 0
    assert "not checked: " in said
    assert "memory" in said or str(error) in said


ENDINGS: dict[str, tuple[str, str]] = {
    "abort": (
        "print('std::bad_alloc', file=sys.stderr, flush=True); os.abort()",
        "std::bad_alloc (signal 6)",
    ),
    "segmentation fault": ("os.kill(os.getpid(), 11)", "its process ended (signal 11)"),
    "killed": ("os.kill(os.getpid(), 9)", "its process ended (signal 9)"),
    "exit": ("os._exit(3)", "its process ended (exit code 3)"),
    "MemoryError": ("raise MemoryError('no memory')", "MemoryError: no memory (exit code 1)"),
}


@needs_memory_limit
@pytest.mark.parametrize(
    "ending", with_full(["abort", "killed", "exit", "MemoryError"], ["segmentation fault"])
)
def test_an_engine_that_ends_its_process(model: Path, tmp_path: Path, ending: str) -> None:
    """If memory is limited, another process first tries to import the engine."""
    code, reason = ENDINGS[ending]
    package = tmp_path / "packages" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"import os, sys\n{code}\n")
    output = tmp_path / "model.safetensors"
    places = [str(package.parent), *filter(None, sys.path)]
    ended = subprocess.run(
        [sys.executable, "-m", "mpscnn", "convert", str(model), str(output)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        preexec_fn=limited_memory(1 << 44),  # only the existence of the limit matters
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"not checked: onnxruntime cannot be imported: {reason}" in ended.stdout
    assert output.exists()


@pytest.mark.parametrize("limited", [False, True])
def test_modules_are_imported(limited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    run: Callable[..., Any] = subprocess.run

    def counted(*arguments: Any, **options: Any) -> Any:
        started.append(arguments[0])
        return run(*arguments, **options)

    monkeypatch.setattr(engine_import, "_is_limited", lambda: limited)
    monkeypatch.setattr(subprocess, "run", counted)
    monkeypatch.delitem(sys.modules, "sndhdr_of_nothing", raising=False)
    monkeypatch.delitem(sys.modules, "this", raising=False)
    assert import_problem(["colorsys"]) is None
    assert "colorsys" in sys.modules
    assert import_problem(["colorsys"]) is None
    problem = import_problem(["sndhdr_of_nothing"])
    assert problem is not None
    assert "No module named 'sndhdr_of_nothing'" in problem
    assert len(started) <= 2 * limited
