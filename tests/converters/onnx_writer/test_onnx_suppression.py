"""Test ONNX files of detectors that choose the boxes themselves, with NonMaxSuppression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from constant_detector import constant_network, save_constant_detector
from converters.onnx_files import onnx
from exact_engines import onnxruntime_results

import mpscnn
from mpscnn.converters import export_onnx, read_network
from mpscnn.vision.detector import DetectionHead, Detector

RANDOM = np.random.default_rng(5)
BOXES = 40
ANCHORS = np.concatenate([RANDOM.uniform(0.2, 0.8, (BOXES, 2)), RANDOM.uniform(0.2, 0.6, (BOXES, 2))], 1)
LEFT_TOP = RANDOM.uniform(0, 0.6, (BOXES, 2))
EDGES = np.concatenate([LEFT_TOP, LEFT_TOP + RANDOM.uniform(0.1, 0.5, (BOXES, 2))], 1)
NAMES = ["detection_boxes", "detection_classes", "detection_scores"]


def detector(**settings: Any) -> mpscnn.Network:
    """Return a network with constant boxes and scores of three columns, and these settings."""
    anchors = settings.get("anchors", {}).get("rule") == "stored"
    kind = settings.get("scores", {}).get("kind", "probability")
    boxes = RANDOM.normal(0, 1, (BOXES, 4)) if anchors else EDGES
    scores = RANDOM.normal(0, 2, (BOXES, 3)) if kind != "probability" else RANDOM.uniform(0, 1, (BOXES, 3))
    given = {"version": 1, "anchors": {"rule": "none"}, "boxes": {"order": "xy"}, **settings}
    given["scores"] = {"kind": kind, "background": False, **settings.get("scores", {})}
    network = constant_network(boxes, scores, settings=given)
    network.detection = DetectionHead(given, ANCHORS.astype(np.float32) if anchors else None)
    return network


def expected(network: mpscnn.Network) -> list[Any]:
    """Return what mpscnn's detector finds on the network's own results."""
    assert network.detection is not None
    made: Detector = network.detection.detector((16, 32))
    results = network.compile(device="cpu", precision="float32").session().run(np.zeros((1, 16, 32, 3)))
    return made.run(results["boxes"], results["scores"])


CASES: dict[str, dict[str, Any]] = {
    "edges": {"suppression": {"iou_threshold": 0.4, "score_threshold": 0.3}},
    "top first": {"boxes": {"order": "yx"}, "suppression": {"score_threshold": 0.3}},
    "few": {"suppression": {"max_detections": 3, "max_per_class": 2}},
    "best class of a box": {
        "suppression": {"per_class": False, "iou_threshold": 0.3, "score_threshold": 0.5}
    },
    "nothing": {"suppression": {"score_threshold": 1.0}},
    "anchors": {
        "anchors": {"rule": "stored"},
        "boxes": {"order": "yx", "variances": [0.1, 0.1, 0.2, 0.2], "clip": True},
        "scores": {"kind": "softmax", "background": True},
        "suppression": {"score_threshold": 0.2},
    },
    "sizes with a limit": {
        "anchors": {"rule": "stored"},
        "boxes": {"order": "xy", "variances": [0.1, 0.2, 1.0, 1.5], "max_log_size": 0.25},
        "scores": {"kind": "sigmoid"},
        "suppression": {"score_threshold": 0.5},
    },
}


@pytest.mark.parametrize(
    ("case", "dtype"), [*((case, "float32") for case in CASES), ("anchors", "float16"), ("anchors", "uint8")]
)
def test_onnxruntime_finds_what_mpscnn_finds(case: str, dtype: str, tmp_path: Path) -> None:
    network = detector(**CASES[case])
    path = tmp_path / "boxes.onnx"
    export_onnx(network, path, suppression=True, dtype=dtype)
    model = onnx.load(path)
    assert [output.name for output in model.graph.output] == NAMES
    x = np.zeros((1, 3, 16, 32), np.float16 if dtype == "float16" else np.float32)
    boxes, classes, scores = onnxruntime_results(path, x)
    assert (boxes.dtype, classes.dtype, scores.dtype) == (np.float32, np.int64, np.float32)
    wanted = expected(read_network(path))
    assert bool(wanted) == (case != "nothing")
    assert classes.tolist() == [one.index for one in wanted]
    rounding = 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(scores, [one.score for one in wanted], atol=rounding)
    np.testing.assert_allclose(
        boxes.reshape(-1, 4), np.reshape([tuple(one.box) for one in wanted], (-1, 4)), atol=rounding
    )


def test_the_file_is_read_as_the_network_that_was_written(tmp_path: Path) -> None:
    network = detector(**CASES["anchors"])
    network.labels, network.preprocess = ["cat", "dog"], "unit"
    export_onnx(network, tmp_path / "own.onnx", suppression=True, score_threshold=0.25, max_detections=4)
    again = read_network(tmp_path / "own.onnx")
    assert again.labels == network.labels
    assert [tensor.shape for tensor in again.outputs] == [tensor.shape for tensor in network.outputs]
    assert again.detection is not None
    assert again.detection.settings["suppression"] == {"score_threshold": 0.25, "max_detections": 4}
    model = onnx.load(tmp_path / "own.onnx")
    next(one for one in model.metadata_props if one.key == "mpscnn.outputs").value = '["gone", "scores"]'
    onnx.save(model, tmp_path / "damaged.onnx")
    with pytest.raises(mpscnn.WeightsError, match="has no tensor 'gone'"):
        read_network(tmp_path / "damaged.onnx")


def test_the_command_writes_limits_and_suppression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This takes some two seconds, since another process compares the file with onnxruntime."""
    given = str(save_constant_detector(tmp_path / "constants.safetensors"))
    output = tmp_path / "written.onnx"
    limits = ["--score-threshold", "0.25", "--iou-threshold", "0.5", "--max-detections", "9"]
    assert call("convert", given, str(output), "--suppression", *limits) == 0
    assert "written.onnx (onnxruntime): equal" in capsys.readouterr().out
    assert [one.name for one in onnx.load(output).graph.output] == NAMES
    assert call("info", str(output)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "score threshold 0.25, hard suppression of boxes of the same class above an IoU of 0.5" in shown
    assert "app input: 'image' (array 1 x 3 x 16 x 32 of float32)" in shown
    assert "app output: 'detection_boxes' (array objects x 4 of float32)" in shown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suppression": {"method": "linear"}}, "has no method 'linear': change the detector's settings"),
        ({"suppression": {"max_candidates": 5}}, "has no max_candidates 5"),
        ({"suppression": {"per_class": False, "classes_per_box": 2}}, "has no classes_per_box 2"),
    ],
)
def test_what_the_operator_cannot_do_is_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=message):
        export_onnx(detector(**settings), tmp_path / "a.onnx", suppression=True)
    network = mpscnn.Network(input=(8, 8, 3), name="n")
    network.output(network.relu(network.input))
    with pytest.raises(mpscnn.ParameterError, match="'n' is not a detector, so suppression has no meaning"):
        export_onnx(network, tmp_path / "a.onnx", suppression=True)
    assert not (tmp_path / "a.onnx").exists()
