"""Scores that are an image of one pixel, (n, 1, 1, classes), are those of a classifier everywhere."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import LABELS, call, save_photo
from PIL import Image

import mpscnn
from mpscnn.comparison.precision_table import Answers

COLOURS = ("red", "green", "blue")


def network_of(end: str = "softmax", classes: int = 3) -> mpscnn.Network:
    """Return a classifier of photos of one colour that ends in a convolution, like MobileNet's Caffe files."""
    network = mpscnn.Network(input=(8, 8, 3), name="one_pixel")
    pooled = network.global_average_pool2d(network.input, name="pool")
    scores = network.conv2d(pooled, classes, 1, name="fc7")
    if end == "softmax":
        scores = network.softmax(scores)
    elif end == "sigmoid":
        scores = network.activation(scores, "sigmoid")
    network.output(scores)
    weight = 10 * np.eye(3, dtype=np.float32)[:classes].reshape(classes, 1, 1, 3)
    network.load_weights({"fc7.weight": weight, "fc7.bias": np.full(classes, -1, np.float32)}, layout="OHWI")
    network.labels = list(LABELS)
    network.preprocess = mpscnn.Model(network, preprocess="unit").network.preprocess
    return network


NEEDED = {".mlpackage": "coremltools", ".mlmodel": "coremltools", ".onnx": "onnx"}


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("end", ["softmax", "logits"])
def test_written_files_are_classifiers(tmp_path: Path, suffix: str, end: str) -> None:
    """A file of each format classifies as the network does. coremltools takes a second to be imported."""
    if suffix in NEEDED and importlib.util.find_spec(NEEDED[suffix]) is None:
        pytest.skip(f"{NEEDED[suffix]} is not installed")
    network = network_of(end)
    assert [one.shape for one in network.outputs] == [(None, 1, 1, 3)]
    network.save(tmp_path / f"net{suffix}")
    model = mpscnn.load(tmp_path / f"net{suffix}", device="cpu")
    assert model.task == "classification"
    photo = Image.new("RGB", (8, 8), (60, 200, 10))
    expected = mpscnn.Model(network, device="cpu").classify(photo)
    found = model.predict(photo)
    assert isinstance(found, mpscnn.Classification)
    assert [one.label for one in found] == [one.label for one in expected] == ["green", "red", "blue"]
    np.testing.assert_allclose(
        [one.probability for one in found], [one.probability for one in expected], rtol=1e-4
    )
    assert found.scores_are == expected.scores_are == "softmax"
    with pytest.raises(mpscnn.ShapeError, match=r"is not a segmenter: its output .*mpscnn classify"):
        mpscnn.Model(network, device="cpu").segment(photo)


def test_two_labels_of_one_score() -> None:
    network = network_of("sigmoid", classes=1)
    network.labels = ["other", "red"]
    model = mpscnn.Model(network, device="cpu")
    assert [one.label for one in model.predict(Image.new("RGB", (8, 8), (250, 0, 0)))] == ["red", "other"]
    assert mpscnn.evaluate(model, [(Image.new("RGB", (8, 8), (250, 0, 0)), "red")]).top1 == 1.0


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = tmp_path / "net.safetensors", tmp_path / "data"
    network_of().save(model)
    for colour in COLOURS:
        (data / colour).mkdir(parents=True)
        save_photo(data / colour / "photo.png", colour)
    photo = str(data / "green" / "photo.png")
    assert call("classify", photo, "--model", str(model), "--json") == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "green"
    assert call("segment", photo, "--model", str(model)) != 0
    assert "is not a segmenter, but a classifier: mpscnn classify" in capsys.readouterr().err
    assert call("info", str(model)) == 0
    text = capsys.readouterr().out
    assert "mpscnn classify" in text
    assert "softmax (the network ends in it)" in text
    assert call("evaluate", "--model", str(model), str(data)) == 0
    assert "100.00%" in capsys.readouterr().out


def test_runners_and_comparisons() -> None:
    network = network_of()
    model = mpscnn.Model(network, device="cpu")
    photos = [Image.new("RGB", (8, 8), colour) for colour in COLOURS]
    with mpscnn.Runner(model) as runner:
        assert [one[0].label for one in runner.map(photos)] == list(COLOURS)
    answers = Answers(network, (1, 8, 8, 3))
    assert answers.counted == "images"
    found = answers.classes({network.outputs[0].name: np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)})
    np.testing.assert_array_equal(found, [0, 1, 2])
