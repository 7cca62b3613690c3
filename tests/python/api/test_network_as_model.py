"""Test the way from a network to files and photos: `Network.save`, `Model(network)` and `load(...)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mpscnn
from mpscnn._private.toolkit import writers
from mpscnn.converters.opening.file_bytes import MemoryBytes
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.reading.tflite.flatbuffer import Table

LABELS = ["red", "green", "blue"]


def network() -> mpscnn.Network:
    """Return a network that classifies a photo by its brightest channel."""
    net = mpscnn.Network(input=(8, 8, 3), name="colours")
    x = net.global_average_pool2d(net.conv2d(net.input, 3, 1, name="conv"))
    net.output(net.softmax(net.dense(x, 3, name="fc")))
    # These weights have more digits than float16. A model from a network in memory does not round them.
    eye = 9.123456789 * np.eye(3, dtype=np.float32)
    net.load_weights({"conv.weight": eye.reshape(3, 1, 1, 3), "fc.weight": eye})
    return net


PHOTO = Image.new("RGB", (20, 30), (10, 200, 30))


def test_a_network_becomes_a_model() -> None:
    net = network()
    for model in (
        mpscnn.Model(net, preprocess="unit", labels=LABELS),
        mpscnn.Model.from_network(net, preprocess="unit", labels=LABELS),
        mpscnn.load(net, preprocess="unit", labels=LABELS, threads=1),
    ):
        assert model.predict(PHOTO)[0].label == "green"
        assert model.labels == LABELS
        for name, weight in net.weights.items():
            np.testing.assert_array_equal(model.network.weights[name], weight)
        x = np.random.default_rng(0).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
        with model.session() as session:
            np.testing.assert_array_equal(session.run(x), net.compile().session().run(x))
    net.preprocess, net.labels = "unit", LABELS
    assert mpscnn.Model(net).predict(PHOTO)[0].label == "green"
    assert mpscnn.Model(net, labels=["r", "g", "b"]).predict(PHOTO)[0].label == "g"
    before = mpscnn.Model(net)
    net.load_weights({"fc.weight": -9 * np.eye(3, dtype=np.float32), "conv.weight": np.ones((3, 1, 1, 3))})
    assert before.predict(PHOTO)[0].label == "green"


def test_integers_stay_integers() -> None:
    net = network()
    net.preprocess = "unit"
    x = np.random.default_rng(0).uniform(0, 1, (16, 8, 8, 3)).astype(np.float32)
    quantized, _ = mpscnn.quantize(net, [x])
    model = mpscnn.Model(quantized, precision="int8")
    with model.session() as session:
        np.testing.assert_array_equal(session.run(x), quantized.compile(precision="int8").session().run(x))


def test_a_file_is_loaded_with_other_choices(tmp_path: Path) -> None:
    path = tmp_path / "colours.safetensors"
    network().save(path, information={"license": "MIT"})
    with pytest.raises(mpscnn.Error):
        mpscnn.load(path).predict(PHOTO)
    model = mpscnn.load(path, preprocess="unit", labels=LABELS)
    assert model.predict(PHOTO)[0].label == "green"
    assert model.information == {"license": "MIT"}
    assert mpscnn.load(path).labels is None  # the file is unchanged
    extractor = mpscnn.FeatureExtractor(model.network, "conv")
    assert extractor.run(PHOTO)["conv"].shape == (1, 8, 8, 3)
    with pytest.raises(
        mpscnn.UnsupportedError, match="does not say how a photo becomes its input: give preprocess="
    ):
        mpscnn.FeatureExtractor(network(), "conv").run(PHOTO)


@pytest.mark.parametrize("given", [3, None, [], "colours.safetensors"])
def test_what_is_no_network(given: Any) -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"Model takes a Network, got .*mpscnn\.load"):
        mpscnn.Model(given)


def test_missing_weights_are_named() -> None:
    net = mpscnn.Network(input=(8, 8, 3))
    net.output(net.conv2d(net.input, 3, 1, name="conv"))
    with pytest.raises(mpscnn.WeightsError, match="conv"):
        mpscnn.Model(net)


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".mlpackage", ".mlmodel", ".aimodel"])
def test_each_suffix_is_obeyed(tmp_path: Path, suffix: str) -> None:
    net = network()
    x = np.random.default_rng(1).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
    expected = net.compile().session().run(x)
    if suffix == ".aimodel":
        pytest.importorskip("coreai", reason="coreai-core is not installed")
    if suffix in (".mlpackage", ".mlmodel"):
        pytest.importorskip("coremltools", reason="writing Core ML models needs coremltools")
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="needs onnx")
    path = tmp_path / f"colours{suffix}"
    net.save(path, dtype="float32")
    with mpscnn.load(path, precision="float32").session() as session:
        np.testing.assert_allclose(session.run(x), expected, rtol=1e-5, atol=1e-6)


def test_every_suffix_that_is_written_is_tested() -> None:
    assert set(writers()) == {".onnx", ".tflite", ".mlpackage", ".mlmodel", ".aimodel"}


def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    network().save(tmp_path / "upper.ONNX")
    assert onnx.load(tmp_path / "upper.ONNX").graph.node


@pytest.mark.parametrize(
    "suffix", [".pt", ".pth", ".h5", ".keras", ".pb", ".npz", ".json", ".bin", ".onxx", ""]
)
def test_another_suffix_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(mpscnn.ParameterError) as refused:
        network().save(tmp_path / f"colours{suffix}")
    assert all(known in str(refused.value) for known in (suffix, ".safetensors", *writers()))
    assert not list(tmp_path.iterdir())


def test_a_model_keeps_the_texts_about_itself(tmp_path: Path) -> None:
    model = mpscnn.load()
    model.save(tmp_path / "copy.safetensors")
    assert mpscnn.load(tmp_path / "copy.safetensors").information == model.information
    assert "Apache-2.0" in model.information.values()
    model.save(tmp_path / "changed.safetensors", information={"license": "MIT"})
    assert mpscnn.load(tmp_path / "changed.safetensors").information == {"license": "MIT"}


def test_onnx_and_tensorflow_lite_files_have_the_texts(tmp_path: Path) -> None:
    """ONNX has them as an entry of the metadata, TensorFlow Lite also in the fields that its metadata have for them."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    stated = {"license": "MIT", "author": "Ada", "source": "a test"}
    for suffix in (".onnx", ".tflite"):
        path = tmp_path / f"colours{suffix}"
        network().save(path, information=stated)
        assert b"mpscnn.information" in path.read_bytes()
        network().save(path)
        assert b"mpscnn.information" not in path.read_bytes()
    network().save(tmp_path / "stated.safetensors", information=stated)
    model = mpscnn.load(tmp_path / "stated.safetensors")
    model.save(tmp_path / "of_model.onnx")
    entries = {one.key: one.value for one in onnx.load(tmp_path / "of_model.onnx").metadata_props}
    assert json.loads(entries["mpscnn.information"]) == stated
    mpscnn.converters.export_tflite(model, tmp_path / "of_model.tflite")
    content = (tmp_path / "of_model.tflite").read_bytes()
    described = Table.root(MemoryBytes(content[content.index(b"M001") - 4 :]))
    assert (described.text(4), described.text(5)) == ("Ada", "MIT")
    own = read_tflite(tmp_path / "of_model.tflite").metadata.own
    assert json.loads(own["mpscnn.information"]) == stated
    for path in tmp_path.glob("of_model.*"):  # the texts change nothing else
        assert mpscnn.load(path).labels is None
