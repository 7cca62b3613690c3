"""Test that written detectors have the limits of suppression that the caller asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from constant_detector import save_constant_detector

import mpscnn
from mpscnn import converters

LIMITS = {"score_threshold": 0.01, "iou_threshold": 0.4, "max_detections": 7}


@pytest.fixture
def model(tmp_path: Path) -> mpscnn.Model:
    return mpscnn.load(str(save_constant_detector(tmp_path / "constants.safetensors")), device="cpu")


WRITERS: dict[str, Callable[[Any, Path], Any]] = {
    "network.save .safetensors": lambda model, path: model.network.save(f"{path}.safetensors", **LIMITS),
    "model.save .tflite": lambda model, path: model.save(f"{path}.tflite", **LIMITS),
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
