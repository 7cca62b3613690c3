"""Test `mpscnn compare FILE@coreml`. A module replaces coremltools, which predicts on macOS only.

It runs in the confined process, as coremltools does.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from converters.coreml.test_coreml_pipelines import detector
from converters.coreml_classifier import classifier, program
from converters.coreml_writer import saved

import mpscnn
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

#: A coremltools that runs a file by mpscnn, adds `wrong` to each probability, and says what it has opened.
FAKE = """
import numpy as np
from pathlib import Path
from mpscnn.converters import read_network

class ComputeUnit:
    CPU_ONLY = "the CPU"

class MLModel:
    def __init__(self, path, compute_units):
        assert compute_units == "the CPU"
        for name in {refused!r}:
            try:
                open(name).close()
            except OSError:
                continue
            raise AssertionError(f"{{name}} can be read")
        network = read_network([Path(path)])
        self.labels = network.labels
        self.session = network.compile(device="cpu").session()

    def predict(self, given):
        (x,) = given.values()
        assert list(x.shape) == {shape}
        found = self.session.run(np.ascontiguousarray(np.moveaxis(x.reshape(1, *x.shape[-3:]), 1, -1)))
        probabilities = {{label: one + {wrong} for label, one in zip(self.labels, found[0].tolist(), strict=True)}}
        return {{"label": self.labels[0], "probabilities": dict(reversed(probabilities.items()))}}

class models:
    MLModel = MLModel
"""


def mac(
    monkeypatch: pytest.MonkeyPatch, path: Path, *, wrong: float = 0.0, shape: Sequence[int] = ()
) -> None:
    """Imitate a Mac with a coremltools that runs a file.

    Args:
        monkeypatch: changes the system.
        path: the file of the user, which coremltools cannot read.
        wrong: added to each probability.
        shape: the shape of the array that it gets.
    """
    packages = path.parent / "site-packages"
    packages.mkdir()
    refused = [str(path if path.is_file() else path / "Manifest.json")]
    code = FAKE.format(refused=refused, wrong=wrong, shape=list(shape))
    (packages / "coremltools.py").write_text(code)
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.delitem(sys.modules, "coremltools", raising=False)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")


@pytest.mark.parametrize("wrong", [0.0, 0.01])
def test_neural_networks(wrong: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(classifier(), tmp_path / "photos.mlmodel")
    mac(monkeypatch, path, wrong=wrong, shape=(3, 6, 8))
    found = mpscnn.compare(str(path), f"{path}@coreml")
    assert found.equal == (wrong == 0.0)
    assert found.second == "photos.mlmodel (Core ML)"


def test_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = program()
    description = made.message.description
    description.output[0].name, description.predictedFeatureName = "probabilities", "label"
    path = made.saved(tmp_path / "photos.mlpackage")
    mac(monkeypatch, path, shape=(1, 3, 6, 8))
    found = mpscnn.compare(str(path), f"{path}@coreml")
    assert found.equal


def test_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(classifier(), tmp_path / "photos.mlmodel")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with pytest.raises(UnsupportedError, match=r"photos\.mlmodel@coreml: Core ML predicts on macOS only"):
        mpscnn.compare(str(path), f"{path}@coreml")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(
        UnsupportedError, match=r"@coreml: coremltools is not installed: pip install '[^']*\[coreml\]'"
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
