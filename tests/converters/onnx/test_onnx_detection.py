"""Detectors of ONNX files give the boxes that follow from onnxruntime's results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_detectors import (
    CLASSES,
    COUNT,
    HEIGHT,
    WIDTH,
    Graph,
    chosen_v10,
    named,
    suppressed_v7,
    suppressed_v8,
    tensorflow_ssd,
    torchvision_ssd,
    yolo_v5,
    yolo_v8,
)
from converters.onnx_files import Array, onnx, read, run_there, weights
from PIL import Image
from reference import detection as reference

from mpscnn import Network
from mpscnn.comparison.conversion_check import check_conversion
from mpscnn.converters import read_network

pytest.importorskip("onnxruntime")

PIXELS = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])


def corners(boxes: Array) -> Array:
    """Return the corners of boxes that are given by centres and sizes."""
    center, size = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([center - size / 2, center + size / 2], axis=1)


def image(seed: int = 1) -> Array:
    return np.random.default_rng(seed).uniform(0.0, 1.0, (1, 3, HEIGHT, WIDTH)).astype(np.float32)


def suppression(network: Network) -> dict[str, Any]:
    assert network.detection is not None
    limits: dict[str, Any] = network.detection.settings["suppression"]
    return limits


def assert_same_boxes(network: Network, x: Array, boxes: Array, scores: Array) -> None:
    """Compare what the network finds with boxes in pixels and probabilities of onnxruntime."""
    assert network.detection is not None
    results = (
        network.compile(device="cpu", precision="float32").session(threads=1).run(x.transpose(0, 2, 3, 1))
    )
    detector = network.detection.detector((HEIGHT, WIDTH))
    found = detector.run(*results.values(), score_threshold=0.3)
    settings = detector.settings["suppression"] | {"score_threshold": 0.3}
    expected = reference.detect(boxes / PIXELS, scores, settings)
    assert len(expected) > 3
    assert [entry.index for entry in found] == [label for _, label, _ in expected]
    np.testing.assert_allclose([entry.score for entry in found], [score for *_, score in expected], atol=1e-5)
    np.testing.assert_allclose(
        np.array([entry.box for entry in found]) * PIXELS, boxes[[box for box, *_ in expected]], atol=1e-3
    )


def test_anchor_free_boxes() -> None:
    made = yolo_v8().model(["output0"])
    x = image()
    (output,) = run_there(made, {"images": x})
    assert output.shape == (1, 4 + CLASSES, COUNT)
    network = read(made)
    assert_same_boxes(network, x, corners(output[0, :4].T), output[0, 4:].T)
    assert suppression(network)["iou_threshold"] == 0.7
    assert "centres and sizes, x first, in pixels of 96x64" in network.notes[0]
    assert network.preprocess == {
        "fit": "letterbox",
        "filter": "bilinear",
        "letterbox_value": 114.0,
        "scale": [1 / 255] * 3,
    }


def test_numbers_in_float64_are_computed_in_float32() -> None:
    """PyTorch writes grids of a fixed size in float64."""
    g = yolo_v8()
    (end,) = [one for one in g.nodes if one.output[0] == "output0"]
    wide = [g.add("Cast", name, to=onnx.TensorProto.DOUBLE) for name in end.input]
    g.add("Cast", g.add("Concat", *wide, axis=1), out="wide", to=onnx.TensorProto.FLOAT)
    network = read(g.model(["wide"]))
    assert network.detection is not None
    assert "computed in the precision of the program" in " ".join(network.notes)


@pytest.mark.parametrize("extra_maps", [False, True])
@pytest.mark.parametrize("power", [False, True])
def test_boxes_of_anchors(extra_maps: bool, power: bool) -> None:
    g, outputs = yolo_v5(extra_maps=extra_maps, power=power)
    made = g.model(outputs)
    x = image()
    output = run_there(made, {"images": x})[0][0]
    network = read(made)
    assert len(network.outputs) == 2
    assert_same_boxes(network, x, corners(output[:, :4]), output[:, 4:5] * output[:, 5:])
    assert network.preprocess is not None


def test_one_box_for_each_cell_and_whether_there_is_an_object() -> None:
    """Test YOLOv6 and YOLOX, which have other preprocessing."""
    made = yolo_v5(one_anchor=True)[0].model(["output"])
    x = image()
    output = run_there(made, {"images": x})[0][0]
    network = read(made)
    assert len(output) == COUNT
    assert_same_boxes(network, x, corners(output[:, :4]), output[:, 4:5] * output[:, 5:])
    assert network.preprocess is None


# ---- Suppression in the file ---------------------------------------------------------------------------------------


def there(made: Any, *names: str, x: Array) -> list[Array]:
    """Return onnxruntime's results for tensors within a file."""
    inner = onnx.ModelProto()
    inner.CopyFrom(made)
    del inner.graph.output[:]
    inner.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return run_there(inner, {"images": x})


def test_a_suppression_of_yolo_gives_its_limits() -> None:
    made = suppressed_v8(yolo_v8())
    x = image()
    run_there(made, {"images": x})  # onnxruntime must accept the graph
    (output,) = there(made, "output0", x=x)
    network = read(made)
    assert_same_boxes(network, x, corners(output[0, :4].T), output[0, 4:].T)
    assert suppression(network)["iou_threshold"] == pytest.approx(0.55)
    assert suppression(network)["score_threshold"] == pytest.approx(0.2)
    assert len(read(yolo_v8().model(["output0"])).to_dict()["nodes"]) == len(network.to_dict()["nodes"])


def test_a_network_that_needs_no_suppression() -> None:
    made = chosen_v10(yolo_v8(corners=True))
    x = image()
    run_there(made, {"images": x})
    (output,) = there(made, "output0", x=x)
    network = read(made)
    assert suppression(network)["iou_threshold"] == 1.0
    assert "corners, x first, in pixels" in network.notes[0]
    assert_same_boxes(network, x, output[0, :4].T, output[0, 4:].T)


def test_scores_of_objects_and_classes_before_a_suppression() -> None:
    made = suppressed_v7(yolo_v5()[0])
    x = image()
    run_there(made, {"images": x})
    output = there(made, "output", x=x)[0][0]
    network = read(made)
    assert suppression(network)["iou_threshold"] == pytest.approx(0.35)
    assert_same_boxes(network, x, corners(output[:, :4]), output[:, 4:5] * output[:, 5:])


def test_ssd_of_tensorflow() -> None:
    made = tensorflow_ssd()
    x = image()
    boxes, scores = there(made, "boxes", "scores", x=x)
    network = read(made)
    assert "corners, y first, in fractions" in network.notes[0]
    limits = suppression(network)
    assert (limits["iou_threshold"], limits["score_threshold"]) == (pytest.approx(0.5), pytest.approx(0.4))
    assert limits["max_per_class"] == 7
    assert_same_boxes(network, x, boxes[0][:, [1, 0, 3, 2]] * PIXELS, scores[0].T)


def test_ssd_of_torchvision() -> None:
    made = torchvision_ssd()
    x = image()
    run_there(made, {"images": x[0]})
    boxes, scores = there(made, "boxes", "scores", x=x[0])
    network = read(made)
    assert network.detection is not None
    assert network.detection.settings["scores"]["background"]
    assert suppression(network)["score_threshold"] == pytest.approx(0.01)
    assert suppression(network)["iou_threshold"] == pytest.approx(0.45)
    assert_same_boxes(network, x, boxes, scores[:, 1:])


# ---- Outputs that stay raw -----------------------------------------------------------------------------------------


def test_other_columns_are_no_classes() -> None:
    network = read(yolo_v8(extra="presence").model(["output0"]))
    assert network.detection is None
    assert len(network.outputs) == 1


def test_boxes_next_to_other_outputs_are_noted() -> None:
    network = read(yolo_v8(extra="presence").model(["output0", "t0"]))
    assert len(network.outputs) == 2
    assert "'output0' look like the boxes" in network.notes[0]


def test_scores_that_are_not_probabilities_stay_raw() -> None:
    network = read(tensorflow_ssd(best_only=True))
    assert network.detection is None
    assert [output.shape[1:] for output in network.outputs] == [(240, 4), (3, 240)]
    assert "--detection" in network.notes[0]


def test_boxes_that_lie_nowhere_stay_raw() -> None:
    """YOLOX exports boxes as offsets within cells and logarithms of sizes, without decoding them."""
    g = Graph()
    rows = []
    for number, one in enumerate(g.maps()):
        y = g.add("Conv", one, weights(5 + CLASSES, 8, 1, 1, seed=30 + number))
        box, rest = g.split(y, [4, 1 + CLASSES], 1)
        y = g.add("Concat", box, g.add("Sigmoid", rest), axis=1)
        rows.append(g.add("Reshape", y, np.array([1, 5 + CLASSES, -1])))
    g.add("Transpose", g.add("Concat", *rows, axis=2), perm=[0, 2, 1], out="output")
    network = read(g.model(["output"]))
    assert network.detection is None
    assert [output.shape for output in network.outputs] == [(None, COUNT, 5 + CLASSES)]
    assert "could not be found" in network.notes[0]


def test_a_network_whose_boxes_are_anywhere_is_noted() -> None:
    g, _ = yolo_v5()
    for tensor in g.constants:
        if np.shape(g.constants[tensor])[-1:] == (2,) and np.ndim(g.constants[tensor]) == 5:
            g.constants[tensor] = g.constants[tensor] * 0  # removes the positions of cells
    network = read(g.model(["output"]))
    assert network.detection is None
    assert "could not be found" in network.notes[0]


def test_maps_that_nothing_has_decoded_stay_raw() -> None:
    g, outputs = yolo_v5(extra_maps=True)
    network = read(g.model(outputs[1:]))
    assert network.detection is None
    assert len(network.outputs) == 3
    assert "are not decoded" in network.notes[0]


def test_chosen_outputs_stay_as_they_are() -> None:
    network = read(yolo_v8().model(["output0"]), outputs=["output0"])
    assert network.detection is None
    assert [output.shape for output in network.outputs] == [(None, 4 + CLASSES, COUNT)]


# ---- Use -----------------------------------------------------------------------------------------------------------


def test_a_file_detects_on_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    made = named(yolo_v8().model(["output0"]), names="{0: 'cat', 1: 'dog', 2: 'crow'}")
    path, photo = tmp_path / "yolo.onnx", tmp_path / "photo.png"
    onnx.save(made, path)
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (128, 192, 3), np.uint8)).save(photo)
    assert call("detect", str(photo), "--model", str(path), "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)["detections"]
    assert found
    assert {one["label"] for one in found} <= {"cat", "dog", "crow"}


@pytest.mark.parametrize(
    "made",
    [
        yolo_v8().model(["output0"]),
        suppressed_v8(yolo_v8()),
        yolo_v5()[0].model(["output"]),
        suppressed_v7(yolo_v5()[0]),
        tensorflow_ssd(),
        tensorflow_ssd(best_only=True),
    ],
    ids=["v8", "v8 suppressed", "v5", "v7", "tensorflow", "raw"],
)
def test_the_conversion_is_proved(made: Any, tmp_path: Path) -> None:
    """The comparison reads tensors within the file, from which boxes and scores are made."""
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    network = read_network([path])
    found, verdict = check_conversion(network, [path])
    assert found is not None, verdict
    assert found.equal, verdict
    assert sum(layer.output for layer in found.layers) == max(len(network.source_ends), 1)


def test_another_file_is_not_proved(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(tensorflow_ssd(best_only=True), path)
    network = read_network([path])
    other = tensorflow_ssd(best_only=True)
    last = next(one for one in other.graph.initializer if one.dims == [6, 8, 1, 1])
    last.raw_data = (onnx.numpy_helper.to_array(last) * np.float32(1.5)).tobytes()
    onnx.save(other, path)
    found, verdict = check_conversion(network, [path])
    assert found is not None
    assert not found.equal, verdict


@pytest.mark.parametrize(
    "names", ["['cat', 'dog', 'crow']", "{0: 'cat'}", "__import__('os')", "((((", "{1: 2}"]
)
def test_names_of_classes_are_data(names: str) -> None:
    network = read(named(yolo_v8().model(["output0"]), names=names))
    assert network.labels == (
        ["cat", "dog", "crow"] if names.startswith("[") else ["cat"] if "cat" in names else None
    )
