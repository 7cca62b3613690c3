"""Test settings that a file does not have: `mpscnn convert --detection --preprocess --labels`, `mpscnn info --set`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, save_colour_model
from constant_detector import SETTINGS, constant_network

import mpscnn
from mpscnn import converters
from mpscnn.converters.finishing.photo_settings import choose_detection


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace reading: a file without settings gives a network with the outputs "boxes" and "scores" of two classes."""
    network = constant_network()
    network.detection = None
    monkeypatch.setattr(converters, "read_network", lambda sources, **options: network)
    return ["raw_heads.tflite"]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_preprocessing_from_the_path_of_a_file(tmp_path: Path, source: list[str]) -> None:
    path = write(tmp_path / "photos.json", {"mean": [1, 2, 3]})
    output = tmp_path / "detector.safetensors"
    for given in (path, str(path)):
        network = converters.convert_files(source, output, detection=SETTINGS, preprocess=given)
        assert network.preprocess == {"mean": [1, 2, 3]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "settings.json: cannot be read"),
        ("{", "settings.json: the file is not JSON"),
        ([1], "settings.json: the file is not an object"),
        (SETTINGS | {"colour": 1}, "colour"),
        (SETTINGS | {"scores": 1}, "scores"),
        (SETTINGS | {"scores": {"output": "other"}}, "'other'"),
        (SETTINGS | {"scores": SETTINGS["scores"] | {"background": True}}, "2 labels, but the network has 1"),
        (SETTINGS | {"anchors": {"rule": "stored"}}, "anchors"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, source: list[str], settings: Any, message: str) -> None:
    path = tmp_path / "settings.json"
    if settings is not None:
        write(path, settings)
    labels = write(tmp_path / "labels.txt", "cat\ndog\n")
    output = tmp_path / "detector.safetensors"
    with pytest.raises(mpscnn.Error, match=message):
        converters.convert_files(source, output, detection=path, labels=labels)
    assert not output.exists()


# ---- By name, as JSON, and in a file that is there -----------------------------------------------------------------


#: One network in all forms that its authors publish, with boxes that are decoded in the network, or not.
ULTRAFACE = [
    "version-slim-320.onnx",
    "version-slim-320_simplified.onnx",
    "version-slim-320_without_postprocessing.onnx",
    "version-slim-320.pth",
    "slim-320.caffemodel",
]


@pytest.mark.parametrize("name", ULTRAFACE)
def test_all_files_of_ultraface_find_the_same_faces(name: str, tmp_path: Path, shared: Path) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnx", reason="onnx is not installed")
    photo = shared / "images" / "face.jpg"
    found = []
    for source in (ultraface_file(shared), str(shared / "models" / "ultraface" / name)):
        output = tmp_path / f"{len(found)}.safetensors"
        converters.convert_files([source], output, detection="ultraface", dtype="float32")
        found.append(mpscnn.load(output, device="cpu").detect(photo))
    expected, result = found
    assert len(expected) > 3
    np.testing.assert_allclose(result.boxes, expected.boxes, atol=0.1)
    np.testing.assert_allclose(result.scores, expected.scores, atol=1e-4)


@pytest.mark.parametrize("ending", ["softmax", "sigmoid", "none"])
def test_scores_that_are_probabilities_already(ending: str, tmp_path: Path) -> None:
    network = mpscnn.models.ssdlite_mobilenet_v2(classes=2, input_size=64, depth_multiplier=0.35)
    boxes, scores = network.outputs
    graph = mpscnn.Network.from_graph(network.graph.copy())
    ended = {
        "softmax": graph.softmax,
        "sigmoid": lambda x: graph.activation(x, "sigmoid"),
        "none": lambda x: x,
    }
    last = ended[ending](graph[scores.name])
    network = graph.restructured({**graph.to_dict(), "outputs": [boxes.name, last.name]}, {})
    choose_detection(network, "ssd")
    assert network.detection is not None
    assert network.detection.settings["scores"]["kind"] == ("sigmoid" if ending == "none" else "probability")


def test_boxes_that_an_ssd_has_decoded_need_settings() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    boxes = network.reshape(network.conv2d(network.input, 8, 4), (2, 4))
    network.output(network.activation(boxes, "exponential", name="boxes"))
    network.output(network.reshape(network.conv2d(network.input, 6, 4), (2, 3), name="scores"))
    with pytest.raises(mpscnn.ParameterError, match="'boxes' is decoded already: say what its numbers are"):
        choose_detection(network, "ssd")


def ultraface_file(shared: Path) -> str:
    return str(shared / "models" / "ultraface" / "version-slim-320_without_postprocessing.tflite")


def test_known_detectors(tmp_path: Path, source: list[str]) -> None:
    with pytest.raises(
        mpscnn.ParameterError, match="unknown detector 'yolo'; known: ultraface, ssd, ssd-softmax"
    ):
        converters.convert_files(source, tmp_path / "o.safetensors", detection="yolo")
    network = mpscnn.Network(input=(4, 4, 3))
    network.output(network.flatten(network.input))
    with pytest.raises(mpscnn.ParameterError, match=r"'ssd' needs one output .n, anchors, 4., the boxes"):
        choose_detection(network, "ssd")
    network = mpscnn.models.ssdlite_mobilenet_v2(classes=2, input_size=64, depth_multiplier=0.35)
    network.detection = None
    network.preprocess = None
    choose_detection(network, "ssd")
    assert network.preprocess == "tensorflow"
    network.initialize_weights()
    network.save(tmp_path / "ssd.safetensors")
    assert mpscnn.load(tmp_path / "ssd.safetensors", device="cpu").task == "detection"


def test_a_file_that_is_there_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_colour_model(tmp_path / "colours.safetensors")
    before = mpscnn.load(path, device="cpu")
    labels = write(tmp_path / "labels.txt", "rot\ngrün\nblau\n")
    settings = ["preprocess=torch", f"labels={labels}", "license=MIT"]
    options = [part for setting in settings for part in ("--set", setting)]
    assert call("info", str(path), *options) == 0, capsys.readouterr().err
    assert "labels, license, preprocess changed" in capsys.readouterr().out
    after = mpscnn.load(path, device="cpu")
    assert after.labels == ["rot", "grün", "blau"]
    assert after.preprocess is not None
    assert after.preprocess["mean"] != (before.preprocess or {})["mean"]
    assert after.information == {"license": "MIT", "source": "a test"}
    weight = after.network.weight("dense", "weight")
    np.testing.assert_array_equal(weight, before.network.weight("dense", "weight"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("preprocess", "expected KEY=VALUE"),
        ("weights=x", "one of the keys detection, preprocess, labels"),
        ("preprocess=unknown", "unknown"),
        ('preprocess={"mean": ', "preprocess is not JSON"),
        ('labels=["a"]', "has 1 labels, but the network has 3 classes"),
        ("labels=[1, 2, 3]", "expected a list of names"),
        ("detection=ultraface", "needs one output (n, anchors, 4), the boxes"),
    ],
)
def test_changes_that_are_refused_leave_the_file(
    setting: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_colour_model(tmp_path / "colours.safetensors")
    content = path.read_bytes()
    assert call("info", str(path), "--set", setting) != 0
    assert message in " ".join(capsys.readouterr().err.split())
    assert path.read_bytes() == content


def test_published_models_are_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", "cifar10_mobilenet_v2", "--set", "license=MIT") == 2
    assert "is a published model" in capsys.readouterr().err
