"""Export detectors and segmenters as Core ML models by means of coremltools, and read them again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from agreement import computed
from command_line import call
from converters.onnx_writer.test_onnx_export import fill
from models.drawn_digits import draw_page
from numpy.typing import NDArray
from oracles.test_coreml_written import CHOICES, PHOTOS, pixels, written_again
from PIL import Image
from reference import detection as reference

import mpscnn
from mpscnn import Network, converters
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")
pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# ---- Detectors -----------------------------------------------------------------------------------------------------

ANCHORS = {"rule": "sizes", "strides": [16], "sizes": [[[20, 30], [44, 24]]]}
EDGES = {"rule": "none"}
HEADS = {
    "SSD": ({"order": "yx", "variances": [0.1, 0.1, 0.2, 0.2]}, "sigmoid", True, ANCHORS, True),
    "softmax": ({"order": "xy", "variances": [0.1, 0.2, 0.3, 0.2]}, "softmax", True, ANCHORS, True),
    "edges": ({"order": "xy"}, "probability", False, EDGES, True),
    "clipped": (
        {"order": "yx", "variances": [0.1, 0.2, 0.9, 0.8], "max_log_size": 0.5, "clip": True},
        *("sigmoid", False, ANCHORS, True),
    ),
    "clipped edges": ({"order": "xy", "clip": True}, "probability", False, EDGES, True),
    "edges, y first": ({"order": "yx"}, "sigmoid", False, EDGES, False),
}


def detector(kind: str) -> Network:
    """Return a small detector of two classes with 32 boxes for photos of 64 x 64."""
    coding, scores, background, anchors, per_class = HEADS[kind]
    network = Network(input=(64, 64, 3), name="boxes")
    x = network.conv2d(network.input, 16, 3, strides=4, activation="relu")
    x = network.conv2d(x, 24, 3, strides=4, activation="relu")
    columns = 2 + background
    boxes, chances = (network.conv2d(x, 2 * count, 3, padding="same") for count in (4, columns))
    boxes, chances = network.reshape(boxes, (32, 4)), network.reshape(chances, (32, columns))
    if anchors is EDGES:
        boxes = network.activation(boxes, "sigmoid")
    if scores == "probability":
        chances = network.activation(chances, "sigmoid")
    for made in (boxes, chances):
        network.output(made)
    fill(network)
    network.load_weights({name: 0.2 * array for name, array in network.weights.items()}, layout="OHWI")
    network.preprocess, network.labels = PHOTOS["one scale"], ["cat", "dog"]
    network.detection = mpscnn.DetectionHead(
        {
            "version": 1,
            "boxes": {**coding, "output": boxes.name},
            "scores": {"kind": scores, "background": background, "output": chances.name},
            "anchors": anchors,
            "suppression": {"per_class": per_class, "iou_threshold": 0.4, "score_threshold": 0.2},
        }
    )
    return network


def expected_boxes(network: Network, x: NDArray[np.float32]) -> list[tuple[float, str, list[float]]]:
    """Return (score, label, edges in pixels) of the boxes that a detector finds. Boxes count for their best class."""
    assert network.detection is not None
    made = network.detection.detector((64, 64))
    settings = made.settings
    found = network.compile(device="cpu", precision="float32").session().run(x)
    assert isinstance(found, dict)
    boxes, chances = (np.float64(found[network.detection.output(part)][0]) for part in ("boxes", "scores"))
    chances = reference.probabilities(chances, settings["scores"]["kind"], settings["scores"]["background"])
    chances = np.where(chances == chances.max(1, keepdims=True), chances, 0.0)
    coding = settings["boxes"]
    if settings["anchors"]["rule"] == "none":
        edges = boxes[:, [1, 0, 3, 2]] if coding["order"] == "yx" else boxes
    else:
        edges = reference.decode(
            boxes, made.anchors, coding["variances"], coding["order"], coding["max_log_size"]
        )
    edges = np.clip(edges, 0.0, 1.0) if coding["clip"] else edges
    across = [chances.max(1)] if not settings["suppression"]["per_class"] else chances.T
    kept = [
        (score, network.labels[int(chances[box].argmax())], np.clip(64 * edges[box], 0, 64).tolist())  # type: ignore[index]
        for column in across
        for box, score in reference.suppress(edges, column.tolist(), settings["suppression"], 100)
    ]
    return sorted(one for one in kept if one[2][0] < one[2][2] and one[2][1] < one[2][3])


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("kind", HEADS)
def test_detectors(kind: str, suffix: str, tmp_path: Path) -> None:
    """The file is a pipeline as Vision expects it. Read again, it finds the same boxes."""
    network = detector(kind)
    paths = [tmp_path / name / f"one{suffix}" for name in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        converters.export_coreml(network, path, information={"license": "MIT"})
    assert contents(paths[0]) == contents(paths[1])

    spec = coremltools.models.MLModel(str(paths[0]), skip_model_load=True).get_spec()
    assert [one.type.WhichOneof("Type") for one in spec.description.input] == [
        "imageType",
        *["doubleType"] * 2,
    ]
    assert [one.name for one in spec.description.output] == ["confidence", "coordinates"]
    assert all(one.shortDescription for one in (*spec.description.input, *spec.description.output))
    assert spec.description.metadata.license == "MIT"
    part, suppression = spec.pipeline.models
    assert [(one.name, list(one.type.multiArrayType.shape)) for one in part.description.output] == [
        ("raw_confidence", [32, 2]),
        ("raw_coordinates", [32, 4]),
    ]
    held = suppression.nonMaximumSuppression
    assert (held.iouThreshold, held.confidenceThreshold) == (0.4, 0.2)
    assert held.pickTop.perClass == HEADS[kind][-1]
    assert list(held.stringClassLabels.vector) == ["cat", "dog"]

    photo = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    expected = expected_boxes(network, (photo[None] / 127.5 - 1.0).astype(np.float32))
    model = mpscnn.load(paths[0], device="cpu")
    found = sorted(model.predict(Image.fromarray(photo)), key=lambda one: one.score)
    assert len(expected) > 3
    assert [one.label for one in found] == [label for _, label, _ in expected]
    for one, (score, _, box) in zip(found, expected, strict=True):
        assert abs(one.score - score) < 1e-4
        np.testing.assert_allclose(one.box, box, atol=1e-2)
    for sides in ((network, str(paths[0])), (str(paths[0]), network)):
        assert mpscnn.compare(*sides).equal


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_detector_that_is_read_and_written_again_finds_the_same(
    dtype: str, suffix: str, tmp_path: Path
) -> None:
    model = mpscnn.load("page_digits", device="cpu")
    page, drawn = draw_page(("023", "4567", "89"))
    expected = {one.label: one for one in model.predict(page)}
    assert len(expected) == len(drawn)
    tolerance = 1e-3 if dtype == "float32" else 2e-2
    network = model.network
    for name in ("first", "second", "third"):
        path = tmp_path / f"{name}{suffix}"
        converters.export_coreml(network, path, dtype=dtype)
        found = {one.label: one for one in mpscnn.load(path, device="cpu").predict(page)}
        assert found.keys() == expected.keys()
        for label, one in found.items():
            assert abs(one.score - expected[label].score) < tolerance
            np.testing.assert_allclose(one.box, expected[label].box, atol=100 * tolerance)
        network = converters.read_network([path])


@pytest.mark.parametrize("choice", CHOICES)
def test_the_bundled_detector_does_not_grow(choice: str, tmp_path: Path) -> None:
    """The reader adds layers for the edges of boxes and the best scores. A network is written without these layers."""
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    network = mpscnn.load("page_digits", device="cpu").network
    _, second, third = written_again(network, tmp_path, choice, 3)
    assert second == third


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("kind", HEADS)
def test_detectors_do_not_grow(kind: str, suffix: str, tmp_path: Path) -> None:
    """Some layers become part of convolutions and change their names, so that files stay the same from the third on."""
    *_, third, fourth = written_again(detector(kind), tmp_path, f"{suffix} float32", 4)
    assert third == fourth


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_the_command_makes_a_detector(suffix: str, tmp_path: Path) -> None:
    network = detector("SSD")
    assert network.detection is not None
    settings, network.detection = dict(network.detection.settings), None
    labels, network.labels = network.labels, None
    network.save(tmp_path / "boxes.safetensors")
    path = tmp_path / f"boxes{suffix}"
    command = ("convert", str(tmp_path / "boxes.safetensors"), str(path), "--detection", json.dumps(settings))
    assert call(*command, "--labels", json.dumps(labels)) == 0
    again = converters.read_network(path)
    assert again.detection is not None
    assert again.labels == labels


def test_what_detectors_are_refused(tmp_path: Path) -> None:
    network = detector("SSD")
    network.labels = ["cat"]
    with pytest.raises(ParameterError, match="1 labels for 2 classes"):
        converters.export_coreml(network, tmp_path / "one.mlpackage")
    assert network.detection is not None
    for suppression, message in (
        ({"method": "gaussian"}, r"by the method 'gaussian': set 'method' to 'hard'"),
        ({"max_per_class": 2}, "not those of each class: set 'max_per_class' to 'max_detections'"),
    ):
        settings = {**network.detection.settings, "suppression": suppression}
        network.detection = mpscnn.DetectionHead(settings)
        with pytest.raises(UnsupportedError, match=message):
            converters.export_coreml(network, tmp_path / "one.mlpackage")
    network.detection = mpscnn.DetectionHead({**settings, "boxes": {"output": "edges"}, "suppression": {}})
    with pytest.raises(WeightsError, match="the output 'edges', which the network does not have"):
        converters.export_coreml(network, tmp_path / "one.mlpackage")


# ---- Segmenters ----------------------------------------------------------------------------------------------------


def segmenter() -> Network:
    network = Network(input=(48, 64, 3), name="segments")
    x = network.conv2d(network.input, 8, 3, strides=4, activation="relu")
    network.output(network.conv2d(x, 3, 1))
    fill(network)
    network.preprocess, network.labels = PHOTOS["BGR"], ["background", "cat", "dog"]
    return network


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_segmenters(suffix: str, tmp_path: Path) -> None:
    """The file's output is the number of each pixel's class. The network that is read from it gives the scores."""
    network, path = segmenter(), tmp_path / f"one{suffix}"
    converters.export_coreml(network, path)
    spec = coremltools.utils.load_spec(str(path))
    metadata = spec.description.metadata.userDefined
    assert metadata["com.apple.coreml.model.preview.type"] == "imageSegmenter"
    settings = json.loads(metadata["com.apple.coreml.model.preview.params"])
    assert settings == {"labels": network.labels, "colors": ["#000000", "#800000", "#008000"]}
    (output,) = spec.description.output
    assert output.name == "semanticPredictions"
    back = converters.read_network([path])
    assert back.labels == network.labels
    assert any("the output is the scores" in note for note in back.notes)
    expected = computed(network, pixels(network))
    assert np.abs(computed(back, pixels(back)) - expected).max() < 1e-4 * np.abs(expected).max()
    found = mpscnn.load(path, device="cpu").predict(np.zeros((48, 64, 3), np.uint8))
    assert found.labels.shape == (48, 64)


def test_labels_of_segmenters_fit(tmp_path: Path) -> None:
    network = segmenter()
    network.labels = ["cat", "dog"]
    with pytest.raises(ParameterError, match="2 labels for 3 classes"):
        converters.export_coreml(network, tmp_path / "one.mlmodel")


def contents(path: Path) -> list[bytes]:
    """Return the contents of a model's files, in the order of their names."""
    return [file.read_bytes() for file in sorted((path, *path.rglob("*"))) if file.is_file()]


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_a_model_that_is_read_and_written_again_answers_the_same(suffix: str, tmp_path: Path) -> None:
    network = mpscnn.models.mobilenet_v2(classes=5, depth_multiplier=0.35, input_size=32)
    network.initialize_weights(seed=1)
    network.preprocess, network.labels = "tensorflow", list("abcde")
    photo = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    answers = []
    for name in ("first", "second", "third"):
        path = tmp_path / f"{name}{suffix}"
        converters.export_coreml(network, path)
        found = mpscnn.load(path, device="cpu").predict(photo, top=5)
        answers.append({one.label: one.probability for one in found})
        network = converters.read_network([path])
    assert max(answers[0].values()) > 0.21
    for answer in answers[1:]:
        assert answer == pytest.approx(answers[0], abs=1e-5)


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_names_do_not_grow(suffix: str, tmp_path: Path) -> None:
    """An operand of extent 1 is broadcast by Core ML itself, so a sum is one operation with its own name."""
    network = Network(input=(4, 5, 3), name="sum")
    network.output(network.add(network.input, network.reduce_max(network.input, "width"), name="raised"))
    written = []
    for name in ("first", "second", "third"):
        path = tmp_path / name / f"one{suffix}"
        path.parent.mkdir()
        converters.export_coreml(network, path)
        written.append(contents(path))
        network = converters.read_network([path])
    assert network.outputs[0].name == "raised"
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("largest", [True, False])
def test_the_best_elements(largest: bool, suffix: str, tmp_path: Path) -> None:
    network = Network(input=(4, 5, 6))
    values, places = network.top_k(network.input, 3, largest=largest)
    network.output(values)
    network.output(places)
    path = tmp_path / f"one{suffix}"
    converters.export_coreml(network, path, dtype="float32")
    x = np.random.default_rng(2).normal(size=(1, 4, 5, 6)).astype(np.float32)
    expected = network.compile(device="cpu").session().run(x)
    found = converters.read_network([path]).compile(device="cpu").session().run(x)
    for one, wanted in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-6)
