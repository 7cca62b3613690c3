"""A written file keeps how photos become its input: read again, it gives the answers of the model that was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml.test_coreml_compiled import PHOTO
from converters.coreml_classifier import program
from converters.mil_text import compiled

import mpscnn
from mpscnn import converters
from mpscnn.errors import WeightsError

PLACINGS: dict[str, dict[str, Any]] = {
    "stretch": {},
    "other filter": {"filter": "nearest"},
    "centre": {"fit": "center_crop", "crop_fraction": 0.875, "mean": [100.0, 110.0, 120.0]},
    "torchvision": {"fit": "center_crop", "crop_fraction": 0.875, "whole_pixels": True, "filter": "bicubic_antialias"},
    "letterbox": {"fit": "letterbox", "letterbox_value": 114.0, "order": "bgr", "scale": [0.01, 0.02, 0.03]},
    "top left": {"fit": "letterbox", "letterbox_position": "top_left", "letterbox_value": [1.0, 2.0, 3.0]},
}  # fmt: skip


def _model(preprocess: dict[str, Any]) -> mpscnn.Model[Any]:
    network = mpscnn.Network(input=(8, 10, 3), name="placed")
    network.output(network.dense(network.flatten(network.input), 3))
    network.initialize_weights(seed=2)
    return mpscnn.Model(network, preprocess=preprocess, labels=["a", "b", "c"], device="cpu")


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("name", PLACINGS)
def test_written_files_keep_it(name: str, suffix: str, tmp_path: Path) -> None:
    if suffix.startswith(".ml"):
        pytest.importorskip("coremltools")
    written = _model({"scale": [1 / 255] * 3, **PLACINGS[name]})
    written.save(tmp_path / f"one{suffix}")
    read = mpscnn.Model(converters.read_network(tmp_path / f"one{suffix}"), device="cpu")
    photo = np.random.default_rng(1).integers(0, 256, (31, 20, 3), np.uint8)
    expected, found = written.predict(photo), read.predict(photo)
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-3)
    assert written.preprocess is not None
    assert read.preprocess is not None
    for key in (
        "fit",
        "crop_fraction",
        "whole_pixels",
        "filter",
        "letterbox_value",
        "letterbox_position",
        "order",
    ):
        assert read.preprocess[key] == written.preprocess[key]


def _compiled(folder: Path, entry: str) -> Path:
    """Write a compiled model of Core ML whose description has the entry of the placing."""
    path = compiled(program(), folder / "one.mlmodelc", new=True, inputs=[PHOTO])
    (described,) = json.loads((path / "metadata.json").read_text())
    described["userDefinedMetadata"] = {"mpscnn.preprocess": entry}
    (path / "metadata.json").write_text(json.dumps([described]))
    return path


def test_compiled_models_keep_it(tmp_path: Path) -> None:
    read = converters.read_network(_compiled(tmp_path, '{"fit": "center_crop"}'))
    assert isinstance(read.preprocess, dict)
    assert read.preprocess["fit"] == "center_crop"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{"fit": "centre"}', "centre"),
        ('{"mean": [1, 2, 3]}', "expected an object with some of fit, crop_fraction"),
        ("[]", "expected an object with some of"),
        ("{", "Expecting property name"),
        (" " * 1001, "expected an object with some of"),
    ],
)
def test_damaged_entries_are_refused(entry: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"damaged: its metadata 'mpscnn.preprocess': .*{message}"):
        converters.read_network(_compiled(tmp_path, entry))
