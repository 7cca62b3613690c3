"""Texts about a model, such as its license and its source, are written to files of other formats and read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mpscnn
from mpscnn import Network
from mpscnn.converters import convert_files, read_network

TEXTS = {"license": "Apache-2.0", "source": "hf://owner/name@abc/net.onnx (SHA-256 00ff)"}
FORMATS = pytest.mark.parametrize("suffix", [".onnx", ".tflite"])


def _written(path: Path) -> Path:
    if path.suffix == ".onnx":
        pytest.importorskip("onnx")
    network = Network(input=(8, 8, 3), name="net")
    # A batch normalization and an activation that become parts of other layers, so that the network is built again.
    y = network.conv2d(network.input, 4, 3, name="conv")
    network.output(network.activation(y, "relu", name="relu"))
    network.initialize_weights(seed=0)
    network.save(path, information=TEXTS)
    return path


@FORMATS
def test_texts_about_a_model_come_back(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    path = _written(tmp_path / f"net{suffix}")
    network = read_network(path)
    assert network.information == TEXTS
    assert mpscnn.Model(network).information == TEXTS
    assert mpscnn.load(path, device="cpu").information == TEXTS
    again = tmp_path / f"again{suffix}"
    network.save(again)
    assert read_network(again).information == TEXTS


@FORMATS
def test_chosen_texts_replace_those_of_the_file(suffix: str, tmp_path: Path) -> None:
    path = _written(tmp_path / f"net{suffix}")
    convert_files(path, tmp_path / "net.safetensors", information={"source": "my copy"})
    found = mpscnn.load(tmp_path / "net.safetensors", device="cpu").information
    assert found == {**TEXTS, "source": "my copy"}


@pytest.mark.parametrize("text", ["[1]", '{"license": 1}', "{"])
def test_damaged_texts_are_refused(text: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = _written(tmp_path / "net.onnx")
    model = onnx.load(path)
    (entry,) = (one for one in model.metadata_props if one.key == "mpscnn.information")
    assert json.loads(entry.value) == TEXTS
    entry.value = text
    onnx.save(model, path)
    with pytest.raises(mpscnn.WeightsError, match="its metadata"):
        read_network(path)
