"""Files of other frameworks given to `mpscnn.load` and --model: converted once, kept by their contents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import call, save_photo
from converters.tflite_writer import Operator, Tensor, constant, write_tflite

import mpscnn
from mpscnn import converters


def tflite_file(path: Path, scale: float = 1.0) -> Path:
    """The mean colour times a matrix."""
    weights = scale * np.eye(3, dtype=np.float32)
    tensors = [
        Tensor("image", (1, 4, 5, 3)),
        constant("axes", [1, 2], "int32"),
        Tensor("mean", (1, 3)),
        constant("weights", weights),
        Tensor("scores", (1, 3)),
    ]
    operators = [
        Operator(40, [0, 1], [2], 27),  # MEAN
        Operator(9, [2, 3], [4], 8),  # FULLY_CONNECTED
    ]
    path.write_bytes(write_tflite(tensors, operators, [0], [4]))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv("MPSCNN_CACHE", str(directory))
    return directory


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "models").glob("*.safetensors"))


def test_converted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tflite_file(tmp_path / "colours.tflite")
    x = np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 4, 5, 3)
    loaded = mpscnn.load(path)
    assert loaded.name == "colours"
    with loaded.session() as session:
        np.testing.assert_allclose(session.run(x), x.mean(axis=(1, 2)), rtol=1e-5)
    assert len(kept(cache)) == 1

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("converted again")

    with monkeypatch.context() as patch:
        patch.setattr(converters, "read_network", refuse)
        assert mpscnn.load(str(path)).name == "colours"
        (tmp_path / "copy.tflite").write_bytes(path.read_bytes())
        mpscnn.load(tmp_path / "copy.tflite")
        tflite_file(path, scale=2.0)
        with pytest.raises(AssertionError, match="converted again"):
            mpscnn.load(path)
    with mpscnn.load(path).session() as session:
        np.testing.assert_allclose(session.run(x), 2 * x.mean(axis=(1, 2)), rtol=1e-5)
    assert len(kept(cache)) == 2


def test_damaged_files_leave_nothing(tmp_path: Path, cache: Path) -> None:
    path = tflite_file(tmp_path / "cut.tflite")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(mpscnn.WeightsError, match=r"cut\.tflite"):
        mpscnn.load(path)
    assert [entry for entry in cache.rglob("*") if entry.suffix == ".safetensors"] == []
    with pytest.raises(mpscnn.WeightsError, match=r"missing\.tflite"):
        mpscnn.load(tmp_path / "missing.tflite")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("MPSCNN_CACHE", str(blocked))
    with pytest.raises(mpscnn.DownloadError, match="Set MPSCNN_CACHE"):
        mpscnn.load(tflite_file(tmp_path / "colours.tflite"))


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tflite_file(tmp_path / "colours.tflite"))
    assert call(monkeypatch, "info", path) == 0
    assert "scores" in capsys.readouterr().out
    assert call(monkeypatch, "benchmark", path, "--runs", "2") == 0
    # It does not say how a photo becomes its input.
    photo = save_photo(tmp_path / "red.png", "red")
    assert call(monkeypatch, "classify", "--model", path, str(photo)) == 1
    assert "preprocess" in capsys.readouterr().err
