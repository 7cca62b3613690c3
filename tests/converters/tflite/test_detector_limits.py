"""Test that written detectors have the limits of suppression that the caller asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from constant_detector import save_constant_detector

import mpscnn
from mpscnn import converters
from mpscnn._private.hints import option_of

LIMITS = {"score_threshold": 0.01, "iou_threshold": 0.4, "max_detections": 7}


@pytest.fixture
def model(tmp_path: Path) -> mpscnn.Model:
    return mpscnn.load(str(save_constant_detector(tmp_path / "constants.safetensors")), device="cpu")


def _as_onnx(model: mpscnn.Model, path: Path) -> Path:
    converters.export_onnx(model, given := path.with_name("given.onnx"))
    return given


def _convert(model: mpscnn.Model, written: str) -> None:
    """Convert by the command. Files that are not mpscnn's own are read in another way than model files."""
    path = Path(written)
    given = (
        _as_onnx(model, path) if path.suffix == ".safetensors" else path.with_name("constants.safetensors")
    )
    options = [part for name, value in LIMITS.items() for part in (option_of(name), str(value))]
    assert call("convert", str(given), written, "--no-check", *options) == 0


WRITERS: dict[str, Callable[[Any, Path], Any]] = {
    "network.save .safetensors": lambda model, path: model.network.save(f"{path}.safetensors", **LIMITS),
    "model.save .tflite": lambda model, path: model.save(f"{path}.tflite", **LIMITS),
    "model.save .onnx": lambda model, path: model.save(f"{path}.onnx", **LIMITS),
    "export_onnx": lambda model, path: converters.export_onnx(model, f"{path}.onnx", **LIMITS),
    "convert_files": lambda model, path: converters.convert_files(
        _as_onnx(model, path), f"{path}.safetensors", **LIMITS
    ),
    "convert .safetensors": lambda model, path: _convert(model, f"{path}.safetensors"),
    "convert .tflite": lambda model, path: _convert(model, f"{path}.tflite"),
    "convert .onnx": lambda model, path: _convert(model, f"{path}.onnx"),
    "export_tflite": lambda model, path: converters.export_tflite(model, f"{path}.tflite", **LIMITS),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_files_have_the_limits_of_the_caller(tmp_path: Path, model: mpscnn.Model, writer: str) -> None:
    before = dict(model.network.detection.settings["suppression"])  # type: ignore[union-attr]
    WRITERS[writer](model, tmp_path / "written")
    (path,) = tmp_path.glob("written.*")
    network = mpscnn.load(path, device="cpu").network
    assert network.detection is not None
    written = network.detection.settings["suppression"]
    assert written["score_threshold"] == pytest.approx(0.01)
    assert written["iou_threshold"] == pytest.approx(0.4)
    assert written["max_detections"] == 7
    assert dict(model.network.detection.settings["suppression"]) == before  # type: ignore[union-attr]


def test_limits_are_checked(tmp_path: Path, model: mpscnn.Model) -> None:
    with pytest.raises(mpscnn.ParameterError, match="score_threshold"):
        model.save(tmp_path / "a.tflite", score_threshold=2)
    network = mpscnn.Network(input=(8, 8, 3), name="n")
    network.output(network.relu(network.input))
    with pytest.raises(mpscnn.ParameterError, match="is not a detector"):
        network.save(tmp_path / "a.onnx", score_threshold=0.5)
    network.save(tmp_path / "n.safetensors")
    for name in ("--score-threshold", "--iou-threshold", "--max-detections"):
        assert call("convert", str(tmp_path / "n.safetensors"), str(tmp_path / "a.onnx"), name, "1") == 2


@pytest.mark.parametrize("export", ["export_onnx", "export_tflite", "export_coreml", "export_coreai"])
@pytest.mark.parametrize("name", ["model", "model.safetensors", "model.h5"])
def test_each_writer_refuses_the_suffix_of_another_format(
    export: str, name: str, tmp_path: Path, model: mpscnn.Model
) -> None:
    with pytest.raises(mpscnn.ParameterError, match=rf"{name}: the name of an? .* ends in \.[a-z]+"):
        getattr(converters, export)(model, tmp_path / name)
    assert list(tmp_path.iterdir()) == [tmp_path / "constants.safetensors"]
