"""Written TensorFlow Lite files are read to the same networks, without any package."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import results
from converters.written_layers import LAYERS, network_of, network_of_case
from tiers import first_and_last

import mpscnn
from mpscnn import Network, Tensor, _core
from mpscnn.converters import read_network
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.reading.tflite.metadata import read_metadata
from mpscnn.converters.writing.explicit_window import window_of
from mpscnn.vision.detector import DetectionHead

CASES: list[dict[str, Any]] = [case for case in json.loads(_core.cases()) if "training" not in case["tags"]]
#: Operations of which files are written, but not read: their results mix the batch, are constants, or depend on places
#: that the network computes.
NOT_READ = {"batch_statistics", "constant", "take_along_axis"}
NOT_READ_LAYERS = {
    "batch normalization by statistics",
    "batch normalization of a vector by statistics",
    "constant put out",
}


def assert_read(network: Network, folder: Path) -> Network:
    """Write and read a network, and compare the results of a random batch. Return what was read."""
    try:
        network.save(folder / "one.tflite")
    except mpscnn.UnsupportedError:  # test_tflite_export.py lists what is refused
        return network
    read = read_network(folder / "one.tflite")
    generator = np.random.default_rng(5)
    inputs = [
        generator.uniform(-3, 3, [2, *(extent or 1 for extent in one.shape[1:])]).astype(np.float32)
        for one in network.inputs
    ]
    for found, right in zip(results(read, *inputs), results(network, *inputs), strict=True):
        scale = max(1.0, float(np.nanmax(np.abs(right))))
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * scale)
    return read


@pytest.mark.parametrize(
    "case", first_and_last(CASES, lambda case: case["operation"]), ids=lambda case: case["name"]
)
def test_every_operation(case: Mapping[str, Any], tmp_path: Path) -> None:
    """test_tflite_export.py compares the files of all cases with LiteRT."""
    network = network_of_case(case)
    if case["operation"] in NOT_READ:
        network.save(tmp_path / "one.tflite")
        with pytest.raises(mpscnn.UnsupportedError):
            read_network(tmp_path / "one.tflite")
        return
    assert_read(network, tmp_path)


@pytest.mark.parametrize("layer", sorted(LAYERS.keys() - NOT_READ_LAYERS))
def test_every_layer(layer: str, tmp_path: Path) -> None:
    assert_read(network_of(LAYERS[layer]), tmp_path)


def described(network: Network) -> list[Any]:
    """Return the layers with the padding of windows as numbers: TensorFlow's names of paddings give the same ones."""
    layers = []
    for node in network.to_dict()["nodes"]:
        attributes = dict(node["attributes"])
        if node["operation"] in ("convolution", "pooling") and not attributes.get("global"):
            shapes = (network[name].shape for name in (node["inputs"][0], node["name"]))
            window = window_of(attributes, *shapes)
            attributes = {
                key: value for key, value in attributes.items() if not key.startswith(("pad_", "padding"))
            }
            attributes["pads"] = [window.vertical.before, window.vertical.exact_after > 0, *window.pads[:2]]
        if node["operation"] == "reshape":
            attributes["shape"] = network[node["name"]].shape[
                1:
            ]  # -1 is the same as the number it stands for
        layers.append(node | {"attributes": attributes})
    return layers


@pytest.mark.parametrize("name", ["bundled", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
def test_classifiers_stay_the_same(name: str, tmp_path: Path) -> None:
    if name == "bundled":
        network = mpscnn.load(device="cpu").network
    else:
        network = getattr(mpscnn.models, name)(input_size=(64, 64), classes=20)
        network.initialize_weights(seed=2)
    network.save(tmp_path / "one.tflite")
    read = read_network(tmp_path / "one.tflite")
    assert described(read) == described(network)
    weights, right = read.weights, network.weights
    for key, values in right.items():
        assert np.array_equal(weights[key], values), key
    assert not any(weights[key].any() for key in weights.keys() - right.keys())
    assert read.labels == network.labels
    assert mpscnn.Model(read).preprocess == mpscnn.Model(network).preprocess
    assert read.scores == network.scores


def labelled(labels: list[str], **settings: Any) -> Network:
    network = Network((4, 4, 3), name="tiny")
    network.output(network.dense(network.input, len(labels), name="scores"))
    network.initialize_weights()
    network.labels = labels
    for key, value in settings.items():
        setattr(network, key, value)
    return network


def test_metadata(tmp_path: Path) -> None:
    """Other programs find the labels in an archive, and the normalization in Google's metadata."""
    path = tmp_path / "tiny.tflite"
    network = labelled(["left", "right", "à gauche"], preprocess="torchvision", scores="as is")
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == network.labels
    stored = path.read_bytes()
    start = stored.index(b"M001") - 4
    metadata = read_metadata(stored[start:], path)
    assert metadata.labels == tuple(network.labels or ())
    assert metadata.are_probabilities
    np.testing.assert_allclose(metadata.mean, [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(metadata.deviation, [58.395, 57.12, 57.375], rtol=1e-6)
    read = read_network(path)
    assert (read.labels, read.scores) == (network.labels, "as is")
    assert read.preprocess is not None
    assert read.preprocess["crop_fraction"] == mpscnn.Model(network).preprocess["crop_fraction"]
    network.save(tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == stored


@pytest.mark.parametrize("labels", [["", "b"], ["a\nb", "c"], [" a", "b"]])
def test_labels_that_a_text_file_cannot_hold(labels: list[str], tmp_path: Path) -> None:
    network = labelled(labels)
    network.save(tmp_path / "tiny.tflite")
    assert read_network(tmp_path / "tiny.tflite").labels == labels


def test_files_are_equal_and_written_atomically(tmp_path: Path) -> None:
    network = labelled(["a", "b"])
    path = tmp_path / "tiny.tflite"
    network.save(path)
    before = path.read_bytes()
    refused = Network((4, 4, 3))
    refused.output(refused.activation(refused.input, "erf"))
    with pytest.raises(mpscnn.UnsupportedError, match="has no error function"):
        refused.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.tflite"]


def detector(**changes: Any) -> Network:
    """Return a small detector. `changes` are settings within the parts of its detection."""
    network = Network((32, 32, 3), name="tiny_detector")
    x = network.conv2d(network.input, 4, 3, strides=16, padding="same", activation="relu6", name="features")
    boxes, scores = (network.conv2d(x, 2 * columns, 1, name=f"raw_{columns}") for columns in (4, 3))
    network.output(network.reshape(boxes, (8, 4), name="places"))
    network.output(network.reshape(scores, (8, 3), name="kinds"))
    network.initialize_weights(seed=4)
    settings: dict[str, Any] = {
        "version": 1,
        "boxes": {"output": "places", "order": "yx", "variances": [0.1, 0.1, 0.2, 0.2]},
        "scores": {"output": "kinds", "kind": "softmax", "background": True},
        "anchors": {"rule": "stored"},
        "suppression": {"iou_threshold": 0.5, "score_threshold": 0.1, "max_detections": 5},
    }
    for part, change in changes.items():
        settings[part] = {**settings[part], **change}
    anchors = np.random.default_rng(3).uniform(0.1, 0.9, (8, 4)).astype(np.float32)
    stored = anchors if settings["anchors"]["rule"] == "stored" else None
    network.detection = DetectionHead(settings, stored)
    network.labels, network.preprocess = ["cat", "dog"], "tensorflow"
    return network


DETECTORS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "sigmoid, across classes": {
        "scores": {"kind": "sigmoid"},
        "suppression": {"per_class": False, "classes_per_box": 2},
    },
    "probabilities, x before y": {"scores": {"kind": "probability"}, "boxes": {"order": "xy"}},
    "soft": {"suppression": {"method": "linear"}},
    "decoded": {"anchors": {"rule": "none"}},
}


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_stay_the_same(name: str, tmp_path: Path) -> None:
    network = detector(**DETECTORS[name])
    read = assert_read(network, tmp_path)
    assert read.detection is not None
    assert network.detection is not None
    assert read.detection.settings == network.detection.settings
    assert [output.name for output in read.outputs] == ["places", "kinds"]
    assert (read.labels, read.layer_names()) == (network.labels, network.layer_names())
    kinds = [operator.kind for operator in read_tflite(tmp_path / "one.tflite").operators]
    # The operator knows anchors and hard suppression. Other detectors have the raw outputs.
    assert (kinds[-1] == "CUSTOM TFLite_Detection_PostProcess") == (name not in ("soft", "decoded"))
    if network.detection.anchors is not None:
        np.testing.assert_array_equal(read.detection.anchors, network.detection.anchors)
    photo = mpscnn.samples.photo("cat")
    found, right = (mpscnn.Model(one, device="cpu").detect(photo) for one in (read, network))
    np.testing.assert_allclose(found.boxes, right.boxes, rtol=1e-4)


RESTORED: dict[str, Callable[[Network, Tensor], Tensor]] = {
    "convolution and sigmoid": lambda net, x: net.conv2d(x, 4, 3, activation="sigmoid"),
    "sum and hard swish": lambda net, x: net.add(x, x, activation="hard_swish"),
    "convolution and PReLU": lambda net, x: net.conv2d(x, 4, 3, padding=2, activation="prelu"),
    "dense layer of an image": lambda net, x: net.dense(x, 5, activation="relu"),
    "batch normalization": lambda net, x: net.batch_norm(x, activation="relu6"),
    "layer normalization": lambda net, x: net.layer_norm(x),
    "product with a factor": lambda net, x: net.matmul(x, x, transpose_b=True, scale=0.5),
    "pooling with a border": lambda net, x: net.max_pool2d(x, 3, strides=2, padding=1),
    "swish": lambda net, x: net.activation(x, "swish"),
    "hard sigmoid": lambda net, x: net.activation(x, {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}),
}


@pytest.mark.parametrize("name", RESTORED)
def test_layers_of_several_operators_are_restored(name: str, tmp_path: Path) -> None:
    network = network_of(RESTORED[name], (8, 8, 6))
    read = assert_read(network, tmp_path)
    assert [(node["name"], node["operation"]) for node in read.to_dict()["nodes"]] == [
        (node["name"], node["operation"]) for node in network.to_dict()["nodes"]
    ]


@pytest.mark.parametrize("last", ["dense layer", "product of matrices", "pooling", "normalization"])
@pytest.mark.parametrize("shape", [(24,), (4, 24), (4, 6, 4), (2, 2, 6, 4)], ids=len)
def test_layers_after_reshapes(shape: tuple[int, ...], last: str, tmp_path: Path) -> None:
    """A file has one reshape for several in a row, so that a layer may read arrays of any rank through a reshape."""
    network = Network(shape)
    x = network.activation(network.input, "relu")
    whole = math.prod(shape)
    image = network.reshape(x, (4, whole // 8, 2))
    if last == "dense layer":
        network.output(network.linear(image, 5))
    elif last == "product of matrices":
        rows = network.reshape(image, (whole // 4, 4))
        network.output(network.matmul(rows, rows, transpose_b=True, scale=0.5))
    elif last == "pooling":
        network.output(network.max_pool2d(image, 3, strides=2, padding=1))
    else:
        network.output(network.batch_norm(image, activation="relu6"))
    network.initialize_weights(seed=3)
    assert_read(network, tmp_path)


def test_layers_with_paths_as_names_stay_apart(tmp_path: Path) -> None:
    """The name of a layer may begin with that of another, as in networks of TensorFlow."""
    network = Network((8, 8, 3))
    x = network.conv2d(network.input, 4, 3, name="block/conv")
    network.output(network.activation(x, "sigmoid", name="block"))
    network.initialize_weights()
    assert assert_read(network, tmp_path).layer_names()[1:] == ["block/conv", "block"]


@pytest.mark.parametrize("entry", ["mpscnn.outputs", "mpscnn.preprocess", "mpscnn.detection"])
def test_damaged_entries(entry: str, tmp_path: Path) -> None:
    network = detector()
    network.save(tmp_path / "one.tflite")
    content = (tmp_path / "one.tflite").read_bytes()
    start = {"mpscnn.outputs": b'["places', "mpscnn.preprocess": b'{"fit', "mpscnn.detection": b'{"version'}[
        entry
    ]
    assert content.count(start) == 1
    (tmp_path / "one.tflite").write_bytes(content.replace(start, b"?" + start[1:]))
    with pytest.raises(mpscnn.WeightsError, match=r"one\.tflite.*damaged|damaged.*one\.tflite"):
        read_network(tmp_path / "one.tflite")
