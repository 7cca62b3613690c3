"""Test `mpscnn compare FILE@coreml`. A module replaces coremltools, which predicts on macOS only."""

from __future__ import annotations

import platform
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml.test_coreml_pipelines import detector
from converters.coreml_classifier import LABELS, classifier, program
from converters.coreml_writer import saved
from converters.protobuf_messages import coreml_model

import mpscnn
from mpscnn import converters
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError


def mac(monkeypatch: pytest.MonkeyPatch, path: Path, *, wrong: float = 0.0) -> list[Any]:
    """Imitate a Mac with a coremltools that runs the file. Return the list of the models that it opens.

    `wrong` is added to each probability.
    """
    network = converters.read_network([path])
    session = network.compile(device="cpu").session()
    opened = []

    class MLModel:
        weights_dir = "the folder"

        def __init__(self, given: Any, **settings: Any) -> None:
            self.given, self.settings = given, settings
            opened.append(self)

        def get_spec(self) -> Any:
            file = path if path.suffix == ".mlmodel" else path / "Data/com.apple.CoreML/model.mlmodel"
            return coreml_model().FromString(file.read_bytes())

        def predict(self, given: dict[str, Any]) -> dict[str, Any]:
            (x,) = given.values()
            found = session.run(np.ascontiguousarray(np.moveaxis(x.reshape(1, *x.shape[-3:]), 1, -1)))
            probabilities = {label: one + wrong for label, one in zip(LABELS, found[0].tolist(), strict=True)}
            return {"label": LABELS[0], "probabilities": dict(reversed(probabilities.items()))}

    models = types.SimpleNamespace(MLModel=MLModel)
    fake = types.ModuleType("coremltools")
    fake.__dict__.update(models=models, ComputeUnit=types.SimpleNamespace(CPU_ONLY="the CPU"))
    monkeypatch.setitem(sys.modules, "coremltools", fake)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    return opened


@pytest.mark.parametrize("wrong", [0.0, 0.01])
def test_neural_networks(wrong: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(classifier(), tmp_path / "photos.mlmodel")
    opened = mac(monkeypatch, path, wrong=wrong)
    found = mpscnn.compare(str(path), f"{path}@coreml")
    assert found.equal == (wrong == 0.0)
    assert found.second == "photos.mlmodel (Core ML)"
    assert [one.settings for one in opened] == [
        {"skip_model_load": True},
        {"weights_dir": "the folder", "compute_units": "the CPU"},
    ]
    (given,) = opened[1].given.description.input
    assert list(given.type.multiArrayType.shape) == [3, 6, 8]
    assert not opened[1].given.neuralNetworkClassifier.preprocessing


def test_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = program()
    description = made.message.description
    description.output[0].name, description.predictedFeatureName = "probabilities", "label"
    path = made.saved(tmp_path / "photos.mlpackage")
    opened = mac(monkeypatch, path)
    found = mpscnn.compare(str(path), f"{path}@coreml")
    assert found.equal
    (given,) = opened[1].given.description.input
    assert list(given.type.multiArrayType.shape) == [1, 3, 6, 8]


def test_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(classifier(), tmp_path / "photos.mlmodel")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with pytest.raises(UnsupportedError, match=r"photos\.mlmodel@coreml: Core ML predicts on macOS only"):
        mpscnn.compare(str(path), f"{path}@coreml")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(
        UnsupportedError, match=r"@coreml: coremltools cannot be imported.*pip install 'mpscnn\[coreml\]'"
    ):
        mpscnn.compare(str(path), f"{path}@coreml")


def test_what_core_ml_does_not_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(detector(batch=True, per_class=True), tmp_path / "boxes.mlmodel")
    mac(monkeypatch, path)
    with pytest.raises(UnsupportedError, match="for networks alone, and not for pipelines"):
        mpscnn.compare(str(path), f"{path}@coreml")
    for text, kind, message in (
        (f"{path}@coreml@float16", ParameterError, "in its own precision, on the CPU"),
        ("none.mlmodel@coreml", WeightsError, "there is no such file"),
    ):
        with pytest.raises(kind, match=message):
            mpscnn.compare("digits", text)
