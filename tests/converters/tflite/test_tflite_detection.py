"""Compare files that contain TFLite_Detection_PostProcess with TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tflite_writer import Operator, Tensor, constant, write_tflite
from exact_engines import litert_results
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tflite.detection import detection_head
from mpscnn.converters.reading.tflite.flexbuffer import read_map

CUSTOM = "TFLite_Detection_PostProcess"
HEIGHT, WIDTH = 6, 7
BOXES = HEIGHT * WIDTH
OPTIONS: dict[str, Any] = {
    "max_detections": 10,
    "max_classes_per_detection": 1,
    "detections_per_class": 5,
    "use_regular_nms": False,
    "nms_score_threshold": 0.4,
    "nms_iou_threshold": 0.45,
    "num_classes": 4,
    "x_scale": 10.0,
    "y_scale": 9.0,
    "w_scale": 5.0,
    "h_scale": 4.0,
}


def flexbuffer(values: dict[str, Any]) -> bytes:
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers", reason="needs flatbuffers")
    builder = flexbuffers.Builder()
    builder.MapFromElements(values)
    return bytes(builder.Finish())


def anchors() -> NDArray[np.float32]:
    """Return anchors: centre y, centre x, height, width."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    sizes = np.full(BOXES, 0.3)
    return np.stack([(y + 0.5) / HEIGHT, (x + 0.5) / WIDTH, sizes, 1.3 * sizes], axis=1).astype(np.float32)


def detector_file(seed: int, columns: int, options: dict[str, Any], *, custom: bytes | None = None) -> bytes:
    """Return a file with two pointwise convolutions that give boxes and, through LOGISTIC, scores."""
    generator = np.random.default_rng(seed)

    def weights(outputs: int) -> NDArray[np.float32]:
        return generator.standard_normal((outputs, 1, 1, 3)).astype(np.float32)

    results = [(1, 10, 4), (1, 10), (1, 10), (1,)]
    tensors = [
        Tensor("image", (1, HEIGHT, WIDTH, 3)),
        constant("box_weights", weights(4)),
        constant("box_bias", np.zeros(4)),
        constant("score_weights", 2.0 * weights(columns)),
        constant("score_bias", generator.standard_normal(columns) - 1.0),
        Tensor("box_map", (1, HEIGHT, WIDTH, 4)),
        Tensor("score_map", (1, HEIGHT, WIDTH, columns)),
        constant("box_shape", [1, BOXES, 4], "int32"),
        constant("score_shape", [1, BOXES, columns], "int32"),
        Tensor("raw_boxes", (1, BOXES, 4)),
        Tensor("logits", (1, BOXES, columns)),
        Tensor("probabilities", (1, BOXES, columns)),
        constant("anchors", anchors()),
        *(Tensor(f"result{i}", shape) for i, shape in enumerate(results)),
    ]
    convolution = [(1, "Int32", 1), (2, "Int32", 1), (4, "Int32", 1), (5, "Int32", 1)]
    operators = [
        Operator(3, [0, 1, 2], [5], 1, convolution),
        Operator(3, [0, 3, 4], [6], 1, convolution),
        Operator(22, [5, 7], [9], 17),
        Operator(22, [6, 8], [10], 17),
        Operator(14, [10], [11]),
        Operator(32, [9, 11, 12], [13, 14, 15, 16], custom=(CUSTOM, custom or flexbuffer(options))),
    ]
    return write_tflite(tensors, operators, [0], [13, 14, 15, 16])


def converted(path: Path, content: bytes) -> mpscnn.Network:
    path.write_bytes(content)
    return converters.read_network([path])


def tensorflows_run(content: bytes, x: NDArray[np.float32], threshold: float) -> list[tuple[Any, ...]]:
    """Return TensorFlow Lite's sorted results above the threshold: (score, class, left, top, right, bottom)."""
    boxes, classes, scores, count = (result[0] for result in litert_results(content, x))
    found = [
        (float(scores[i]), int(classes[i]), *boxes[i][[1, 0, 3, 2]].tolist())
        for i in range(int(count))
        if scores[i] >= threshold
    ]
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("columns", [4, 5])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_regular_nms": True},
        {"use_regular_nms": True, "nms_iou_threshold": 0.2, "max_detections": 4, "detections_per_class": 2},
        {"nms_iou_threshold": 0.7, "nms_score_threshold": 0.1},
    ],
)
def test_it_finds_what_tensorflow_lite_finds(
    tmp_path: Path, seed: int, columns: int, changes: dict[str, Any]
) -> None:
    options = OPTIONS | changes
    content = detector_file(seed, columns, options)
    x = np.random.default_rng(seed + 100).uniform(-1, 1, (1, HEIGHT, WIDTH, 3)).astype(np.float32)
    expected = tensorflows_run(content, x, options["nms_score_threshold"])
    network = converted(tmp_path / "detector.tflite", content)
    heads = network.compile(device="cpu", precision="float32").session().run(x)
    assert isinstance(heads, dict)
    assert network.detection is not None
    boxes, scores = heads.values()
    found = network.detection.detector((HEIGHT, WIDTH)).run(boxes, scores)
    assert [entry.index for entry in found] == [entry[1] for entry in expected]
    np.testing.assert_allclose(
        np.array([(entry.score, *entry.box) for entry in found]).reshape(-1, 5),
        np.array([(score, *box) for score, _, *box in expected]).reshape(-1, 5),
        atol=2e-5,
    )
    assert expected


def test_several_classes_for_a_box(tmp_path: Path) -> None:
    options = OPTIONS | {"max_classes_per_detection": 3, "nms_score_threshold": 0.2}
    content = detector_file(1, 5, options)
    head = converted(tmp_path / "detector.tflite", content).detection
    assert head is not None
    assert head.settings["suppression"]["classes_per_box"] == 3
    boxes = np.zeros((BOXES, 4))
    scores = np.zeros((BOXES, 5))
    scores[3] = [0.9, 0.3, 0.1, 0.5, 0.8]
    found = head.detector((HEIGHT, WIDTH)).run(boxes, scores)
    assert [(entry.index, pytest.approx(entry.score)) for entry in found] == [(3, 0.8), (2, 0.5), (0, 0.3)]


def test_what_the_options_mean(tmp_path: Path) -> None:
    head = converted(tmp_path / "detector.tflite", detector_file(0, 5, OPTIONS)).detection
    assert head is not None
    assert head.settings["boxes"]["variances"] == pytest.approx([1 / 10, 1 / 9, 1 / 5, 1 / 4])
    assert head.settings["scores"]["background"] is True
    assert head.settings["suppression"] == {
        "iou_threshold": pytest.approx(0.45),
        "score_threshold": pytest.approx(0.4),
        "max_detections": 10,
        "per_class": False,
        "classes_per_box": 1,
    }
    assert head.anchors is not None
    np.testing.assert_array_equal(head.anchors, anchors()[:, [1, 0, 3, 2]])


@pytest.mark.parametrize("background", [False, True])
def test_a_model_file_keeps_anchors_and_labels(tmp_path: Path, background: bool) -> None:
    names = ["one", "two", "three", "four", "five", "six"]  # another number than that of a box's coordinates
    path = tmp_path / "detector.tflite"
    path.write_bytes(detector_file(2, len(names) + background, OPTIONS | {"num_classes": len(names)}))
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(names))
    first = converters.convert_files(
        [path], tmp_path / "detector.safetensors", labels=labels, preprocess="tensorflow", dtype="float32"
    )
    model = mpscnn.load(tmp_path / "detector.safetensors", device="cpu", precision="float32")
    again = model.network.detection
    assert first.detection is not None
    assert again is not None
    assert again.anchors is not None
    np.testing.assert_array_equal(again.anchors, first.detection.anchors)
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    found = model.detect(photo, score_threshold=0.1)
    x = mpscnn.preprocess(photo, (HEIGHT, WIDTH), "tensorflow")
    expected = tensorflows_run(path.read_bytes(), x, 0.4)
    best = [entry for entry in found if entry.score >= 0.4]
    assert [entry.label for entry in best] == [names[entry[1]] for entry in expected]
    np.testing.assert_allclose([entry.score for entry in best], [entry[0] for entry in expected], atol=2e-5)
    assert best


@pytest.mark.parametrize("count", [4, 6])
def test_labels_of_another_number(tmp_path: Path, count: int) -> None:
    path = tmp_path / "detector.tflite"
    path.write_bytes(detector_file(2, 6, OPTIONS | {"num_classes": 5}))
    labels = tmp_path / "labels.txt"
    labels.write_text("name\n" * count)
    with pytest.raises(
        mpscnn.WeightsError, match=rf"labels.txt: has {count} labels, but the network has 5 classes"
    ):
        converters.convert_files([path], tmp_path / "detector.safetensors", labels=labels)


# ---- Damage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing", [name for name in OPTIONS if name not in ("detections_per_class", "use_regular_nms")]
)
def test_missing_options(tmp_path: Path, missing: str) -> None:
    options = {name: value for name, value in OPTIONS.items() if name != missing}
    with pytest.raises(mpscnn.WeightsError, match=rf"detector\.tflite: layer 'result0'.*it has no {missing}"):
        converted(tmp_path / "detector.tflite", detector_file(0, 5, options))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 7}, "5 columns of scores for 7 classes"),
        ({"x_scale": 0.0}, "scales are .*, expected numbers above 0"),
        ({"h_scale": float("nan")}, "expected numbers above 0"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.WeightsError, match=message):
        converted(tmp_path / "detector.tflite", detector_file(0, 5, OPTIONS | changes))


@pytest.mark.parametrize(
    ("heads", "stored", "message"),
    [
        ([("b", (None, 9, 5)), ("s", (None, 9, 5))], (9, 4), "do not fit"),
        ([("b", (None, 9, 4)), ("s", (None, 8, 5))], (9, 4), "do not fit"),
        ([("b", (None, 9, 4)), ("s", (None, 9, 5))], (8, 4), r"anchors \(8, 4\) for 9 boxes"),
    ],
)
def test_heads_that_do_not_fit(heads: Any, stored: tuple[int, int], message: str) -> None:
    with pytest.raises(mpscnn.WeightsError, match=message):
        detection_head(OPTIONS, heads, np.zeros(stored, np.float32))


def test_options_that_are_no_numbers(tmp_path: Path) -> None:
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers", reason="needs flatbuffers")
    for value, message in (({"num_classes": "four"}, "not a number"), ([1, 2], "expected a map of numbers")):
        builder = flexbuffers.Builder()
        builder.Add(value)
        content = detector_file(0, 5, {}, custom=bytes(builder.Finish()))
        with pytest.raises(mpscnn.UnsupportedError, match=message):
            converted(tmp_path / "detector.tflite", content)


def test_numbers_of_every_width() -> None:
    values = {"a": 1, "b": -300, "c": 70_000, "d": -(2**40), "e": 0.5, "f": 0.1, "g": True, "h": False}
    assert read_map(flexbuffer(values)) == values
    assert read_map(flexbuffer({})) == {}


def test_damaged_options_are_refused() -> None:
    whole = flexbuffer(OPTIONS)
    generator = np.random.default_rng(0)
    for size in range(len(whole)):
        with pytest.raises((mpscnn.WeightsError, mpscnn.UnsupportedError)):
            read_map(whole[:size])
    for _ in range(500):
        changed = bytearray(whole)
        for position in generator.integers(0, len(whole), 3):
            changed[position] = generator.integers(0, 256)
        try:
            read_map(bytes(changed))
        except mpscnn.Error:
            continue  # refused with an error of ours; reading other numbers is fine as well
