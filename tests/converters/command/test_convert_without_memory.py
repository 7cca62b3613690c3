"""Test `mpscnn convert` if the file's own engine has too little memory: the model is written but not checked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command_line import call
from converters.onnx_files import model as onnx_model
from converters.onnx_files import node
from tiers import with_full


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model([node("Relu", ["x"], "y")], {"x": (1, 3, 4, 5)}).SerializeToString())
    return path


ENDINGS: dict[str, tuple[str, str]] = {
    "abort": ("os.abort()", "its process ended with signal 6"),
    "segmentation fault": ("os.kill(os.getpid(), 11)", "its process ended with signal 11"),
    "exit": ("os._exit(3)", "its process ended with status 3"),
    "MemoryError": ("raise MemoryError", "it takes more memory than its limit"),
    "ImportError": ("raise ImportError('failed to map segment')", "ImportError: failed to map segment"),
    "OSError": ("raise OSError(12, 'Cannot allocate memory')", "Cannot allocate memory"),
    "SystemError": (
        "raise SystemError('error return without exception set')",
        "error return without exception",
    ),
    "AttributeError": (
        "raise AttributeError('partially initialized module')",
        "partially initialized module",
    ),
}


@pytest.mark.parametrize(
    "ending",
    with_full(
        ["abort", "MemoryError"],
        ["segmentation fault", "exit", "ImportError", "OSError", "SystemError", "AttributeError"],
    ),
)
def test_an_engine_that_does_not_start(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    code, reason = ENDINGS[ending]
    package = tmp_path / "site-packages" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"import os\n{code}\n")
    monkeypatch.syspath_prepend(str(package.parent))
    output = model.with_suffix(".safetensors")
    assert call("convert", str(model), str(output)) == 0
    said = capsys.readouterr().out
    assert "not checked: model.onnx: " in said
    assert reason in said
    assert output.exists()


def test_no_process_can_be_started(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    output = model.with_suffix(".safetensors")
    assert call("convert", str(model), str(output)) == 0
    assert "not checked: model.onnx: no process can be started for it" in capsys.readouterr().out
    assert output.exists()
