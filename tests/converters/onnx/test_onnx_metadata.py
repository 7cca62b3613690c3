"""Test labels, preprocessing and detection in the metadata of ONNX files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_files import onnx

import mpscnn
from mpscnn import converters

PHOTO = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)

#: Settings of a detector whose boxes and scores are the output of `classifier`.
BOXES = '{"boxes": {"output": "softmax_1.output"}, "scores": {"output": "softmax_1.output"}}'


def classifier() -> mpscnn.Network:
    net = mpscnn.Network(input=(8, 8, 3), name="colours")
    net.output(net.softmax(net.dense(net.input, 3)))
    net.initialize_weights(seed=1)
    return net


def detector() -> mpscnn.Network:
    """Return a detector with stored anchors and a background class."""
    net = mpscnn.Network(input=(8, 8, 3), name="boxes")
    x = net.conv2d(net.input, 8, 3, strides=4, padding="same")
    net.output(net.reshape(net.conv2d(x, 4, 1), (4, 4), name="box"))
    net.output(net.reshape(net.conv2d(x, 3, 1), (4, 3), name="class"))
    net.initialize_weights(seed=2)
    anchors = np.random.default_rng(1).uniform(0.2, 0.6, (4, 4)).astype(np.float32)
    settings = {
        "version": 1,
        "boxes": {"output": "box", "order": "yx", "variances": [0.1, 0.1, 0.2, 0.2]},
        "scores": {"output": "class", "kind": "softmax", "background": True},
        "anchors": {"rule": "stored"},
        "suppression": {"score_threshold": 0.1, "iou_threshold": 0.9},
    }
    net.detection = mpscnn.vision.detector.DetectionHead(settings, anchors)
    net.preprocess, net.labels = "unit", ["cat", "dog"]
    return net


def with_entries(path: Path, entries: dict[str, str]) -> Path:
    model = onnx.load(path)
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def load(path: Path) -> mpscnn.Model[Any]:
    return mpscnn.load(path, precision="float32", device="cpu")


def test_a_classifier_gives_the_same_predictions(tmp_path: Path) -> None:
    """This takes a second, since another process compares the file with onnxruntime."""
    model = mpscnn.load(precision="float32", device="cpu")
    model.save(tmp_path / "things.onnx")
    again = load(tmp_path / "things.onnx")
    assert again.labels == model.labels
    assert again.preprocess == model.preprocess
    found, expected = again.predict(PHOTO), model.predict(PHOTO)
    assert [one.label for one in found] == [one.label for one in expected]
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-6)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_detector_gives_the_same_boxes(layout: str, tmp_path: Path) -> None:
    net = detector()
    converters.export_onnx(net, tmp_path / "boxes.onnx", layout=layout)
    again, model = load(tmp_path / "boxes.onnx"), mpscnn.Model(net, device="cpu", precision="float32")
    assert (again.task, again.labels) == ("detection", ["cat", "dog"])
    found, expected = again.predict(PHOTO), model.predict(PHOTO)
    assert len(expected) > 0
    assert [one.label for one in found] == [one.label for one in expected]
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-5)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_a_bundled_detector_gives_the_same_boxes(tmp_path: Path) -> None:
    model = mpscnn.load("page_digits", precision="float32", device="cpu")
    model.save(tmp_path / "page.onnx")
    found, expected = (
        one.predict(PHOTO, score_threshold=0.01) for one in (load(tmp_path / "page.onnx"), model)
    )
    assert len(expected) > 0
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-5)


def test_arguments_of_save(tmp_path: Path) -> None:
    net = classifier()
    net.save(tmp_path / "colours.onnx", labels=["red", "green", "blue"], preprocess="unit")
    again = load(tmp_path / "colours.onnx")
    assert again.labels == ["red", "green", "blue"]
    assert again.preprocess == mpscnn.Model(net, preprocess="unit").preprocess
    assert (net.labels, net.preprocess) == (None, None)


def test_the_command_sets_them(tmp_path: Path) -> None:
    """A source of another framework and a model file take the same options.

    This takes seconds, since another process compares each new file with onnxruntime.
    """
    model, plain, named, boxes = (
        tmp_path / name for name in ("model.safetensors", "plain.onnx", "named.onnx", "boxes.onnx")
    )
    classifier().save(model)
    classifier().save(plain)
    settings = ("--labels", '["red", "green", "blue"]', "--preprocess", "torch")
    for source in (model, plain):
        assert call("convert", str(source), str(named), "--force", "--overwrite", *settings) == 0
        assert load(named).labels == ["red", "green", "blue"]
        assert load(named).preprocess == mpscnn.Model(classifier(), preprocess="torch").preprocess
    net = detector()
    net.detection, net.labels, net.preprocess = None, None, None
    net.save(model)
    found = {
        "version": 1,
        "boxes": {"output": "box", "order": "yx"},
        "scores": {"output": "class", "kind": "softmax"},
        "anchors": {"rule": "none"},
    }
    assert call("convert", str(model), str(boxes), "--detection", json.dumps(found)) == 0
    assert load(boxes).task == "detection"


@pytest.mark.parametrize("suffix", ["safetensors", "onnx"])
def test_labels_that_no_longer_fit_are_left_out(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a background class, the detector has one class less than the file's labels."""
    net = detector()
    assert net.detection is not None
    settings = dict(net.detection.settings) | {"anchors": {"rule": "none"}}
    without = {**settings, "scores": {**settings["scores"], "background": False}}
    net.detection, net.labels = mpscnn.DetectionHead(without), ["none", "cat", "dog"]
    net.save(tmp_path / "boxes.onnx")
    written = tmp_path / f"written.{suffix}"
    command = ("convert", str(tmp_path / "boxes.onnx"), str(written), "--detection", json.dumps(settings))
    assert call(*command) == 0
    assert "the file's own 3 labels are left out" in " ".join(capsys.readouterr().err.split())
    assert load(written).labels is None


def test_settings_that_do_not_fit_are_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier().save(tmp_path / "model.safetensors")
    path = tmp_path / "named.onnx"
    command = ("convert", str(tmp_path / "model.safetensors"), str(path))
    assert call(*command, "--labels", '["red", "green"]') != 0
    assert "has 2 labels, but the network has 3 classes" in capsys.readouterr().err.replace("\n", " ")
    assert call(*command, "--preprocess", "sepia") != 0
    assert "sepia" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("labels", ["red", "green"], "2 labels for a network of 3 classes"),
        ("preprocess", "sepia", "unknown preprocessing 'sepia'"),
        (
            "detection",
            mpscnn.vision.detector.DetectionHead(json.loads(BOXES)),
            "mpscnn.detection: the key 'version' is missing",
        ),
    ],
)
def test_settings_with_which_a_file_could_not_be_loaded(
    setting: str, value: object, message: str, tmp_path: Path
) -> None:
    net = classifier()
    setattr(net, setting, value)
    with pytest.raises(mpscnn.Error, match=message):
        converters.export_onnx(net, tmp_path / "colours.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("{0: 'red', 1: 'green', 2: 'blue'}", ["red", "green", "blue"]),
        ("['red', 'green', 'blue']", ["red", "green", "blue"]),
        ("{0: 'red', 1: 'green'}", None),
        ("red, green, blue", None),
    ],
)
def test_names_of_ultralytics(names: str, expected: list[str] | None, tmp_path: Path) -> None:
    """A classifier uses the names as labels if there is one for each class."""
    path = tmp_path / "colours.onnx"
    classifier().save(path)
    assert load(with_entries(path, {"names": names})).labels == expected


def test_classifiers_of_ultralytics_get_their_preprocessing(tmp_path: Path) -> None:
    """It is Resize(size) and CenterCrop(size) of torchvision, and numbers from 0 to 1.

    This takes a second, since another process compares both files with onnxruntime.
    """
    path = tmp_path / "colours.onnx"
    net = classifier()
    net.preprocess = None
    net.save(path)
    names = {"names": "{0: 'red', 1: 'green', 2: 'blue'}"}
    assert load(with_entries(path, {**names, "task": "detect"})).network.preprocess is None
    found = load(with_entries(path, {**names, "task": "classify"})).network.preprocess
    assert found is not None
    wanted = {"fit": "center_crop", "crop_fraction": 1.0, "whole_pixels": True, "mean": [0.0, 0.0, 0.0]}
    assert {name: found[name] for name in wanted} == wanted
    np.testing.assert_allclose(found["scale"], 1 / 255)


def test_other_outputs_are_no_boxes(tmp_path: Path) -> None:
    converters.export_onnx(detector(), tmp_path / "boxes.onnx")
    read = converters.read_network([tmp_path / "boxes.onnx"], outputs=["conv2d_1"])
    assert read.detection is None
    assert read.labels is None


@pytest.mark.parametrize(
    "entries",
    [
        {"mpscnn.labels": "red, green"},
        {"mpscnn.labels": '"red"'},
        {"mpscnn.labels": "[1, 2, 3]"},
        {"mpscnn.labels": "[" * 100_000},
        {"mpscnn.labels": r'["\ud800", "green", "blue"]'},
        {"mpscnn.scores": r'"\ud800"'},
        {"mpscnn.detection": r'{"boxes": {"output": "\ud800"}}'},
        {"mpscnn.preprocess": "unit"},
        {"mpscnn.preprocess": '{"mean": [1, 2]}'},
        {"mpscnn.detection": "[]"},
        {"mpscnn.detection": "{}"},
        {"mpscnn.detection": '{"boxes": {"output": "no"}, "scores": {"output": "softmax_1.output"}}'},
        {"mpscnn.detection": BOXES, "mpscnn.anchors": "[1, 2]"},
        {"mpscnn.detection": BOXES, "mpscnn.anchors": f"[[1{'0' * 400}, 1, 1, 1]]"},
        {"mpscnn.detection": BOXES, "mpscnn.anchors": "[[1, 2, 3, 4], [1]]"},
    ],
    ids=lambda entries: json.dumps(entries)[:40],
)
def test_damaged_entries(entries: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "colours.onnx"
    classifier().save(path)
    with pytest.raises(mpscnn.WeightsError, match=r"damaged: .*colours\.onnx: its metadata"):
        converters.read_network([with_entries(path, entries)])
