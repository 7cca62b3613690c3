"""Test detectors as models: files, boxes on photos, results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constant_detector import EDGES, LABELS, SETTINGS, constant_network, save_constant_detector
from PIL import Image

import mpscnn
from mpscnn.vision.detector import DetectionHead


@pytest.fixture
def model(tmp_path: Path) -> mpscnn.Model:
    return mpscnn.load(save_constant_detector(tmp_path / "constants.safetensors"))


def photo(width: int, height: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# ---- Boxes on photos -----------------------------------------------------------------------------------------


def detected_box(tmp_path: Path, preprocess: dict[str, Any], picture: Any) -> tuple[float, ...]:
    path = save_constant_detector(tmp_path / "constants.safetensors", preprocess=preprocess)
    (found,) = mpscnn.load(path).detect(picture)
    return tuple(found.box)


@pytest.mark.parametrize(
    ("fit", "side", "expected"),
    [
        # Of 200 x 80 pixels, the input of 32 x 16 sees all, the middle 160 x 80, or half of this. Of 100 x 100 pixels,
        # it sees all in 16 x 16 pixels, between bars of 8 pixels on both sides.
        ({"fit": "stretch"}, (200, 80), (50, 10, 150, 40)),
        ({"fit": "center_crop"}, (200, 80), (60, 10, 140, 40)),
        ({"fit": "center_crop", "crop_fraction": 0.5}, (200, 80), (80, 25, 120, 40)),
        ({"fit": "letterbox"}, (100, 100), (0, 12.5, 100, 50)),
        ({"fit": "letterbox", "letterbox_position": "top_left"}, (100, 100), (50, 12.5, 100, 50)),
    ],
)
def test_boxes_lie_where_the_network_saw_them(
    tmp_path: Path, fit: dict[str, Any], side: tuple[int, int], expected: tuple[float, ...]
) -> None:
    assert detected_box(tmp_path, fit, photo(*side)) == pytest.approx(expected)


def test_frames_of_cameras(tmp_path: Path) -> None:
    frame = mpscnn.YuvImage(np.zeros((200, 80), np.uint8), np.zeros((100, 40, 2), np.uint8), orientation=6)
    found = mpscnn.load(save_constant_detector(tmp_path / "constants.safetensors")).detect(frame)
    assert found.photo_size == (200, 80)
    assert tuple(found[0].box) == pytest.approx((50, 10, 150, 40))
    assert found.draw().size == (200, 80)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path: Path, orientation: int) -> None:
    """Boxes refer to the photo as it is seen, in whatever orientation it is stored."""
    stored = Image.fromarray(photo(200, 80) if orientation < 5 else photo(80, 200))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    stored.save(path, exif=exif)
    model = mpscnn.load(save_constant_detector(tmp_path / "constants.safetensors"))
    found = model.detect(path)
    assert found.photo_size == (200, 80)
    assert tuple(found[0].box) == pytest.approx((50, 10, 150, 40))
    assert found.draw().size == (200, 80)


def test_boxes_are_limited_to_the_photo(tmp_path: Path) -> None:
    boxes = [(-0.5, -0.25, 0.5, 0.5), (0.75, 0.5, 1.5, 3.0), (1.5, 0.0, 2.0, 1.0), (0.1, 0.9, 0.2, 0.9)]
    scores = [[0.9, 0.0], [0.8, 0.0], [0.7, 0.0], [0.6, 0.0]]
    path = save_constant_detector(tmp_path / "constants.safetensors", boxes=boxes, scores=scores)
    found = mpscnn.load(path).detect(photo(100, 60))
    assert [tuple(entry.box) for entry in found] == [
        pytest.approx((0, 0, 50, 30)),
        pytest.approx((75, 30, 100, 60)),
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 1)])
def test_photos_of_extreme_shapes(tmp_path: Path, size: tuple[int, int]) -> None:
    for fit in ("stretch", "center_crop", "letterbox"):
        path = save_constant_detector(tmp_path / "constants.safetensors", preprocess={"fit": fit})
        for entry in mpscnn.load(path).detect(photo(*size)):
            assert 0 <= entry.box.left < entry.box.right <= size[0]
            assert 0 <= entry.box.top < entry.box.bottom <= size[1]


# ---- Results -------------------------------------------------------------------------------------------------


def test_result(model: mpscnn.Model) -> None:
    assert model.task == "detection"
    found = model.predict(photo(200, 80), score_threshold=0.1)
    assert [(entry.label, entry.index, pytest.approx(entry.score)) for entry in found] == [
        ("cat", 0, 0.9),
        ("dog", 1, 0.2),
    ]
    assert len(found) == 2
    assert found[0] == found[:1][0]
    assert found[0].box.width == pytest.approx(100)
    assert repr(found[0]) == "<Detection: cat 90.0% at (50, 10, 150, 40)>"
    assert repr(found).startswith("<Detections: cat 90.0%, dog 20.0%; ")
    assert f"ms on {found.device} ({found.precision})>" in repr(found)
    nothing = model.predict(photo(200, 80), score_threshold=1.0)
    assert not nothing
    assert "nothing found" in repr(nothing)


def test_max_and_iou(tmp_path: Path) -> None:
    boxes = [(0, 0, 1, 1), (0, 0, 1, 0.7), (0, 0, 0.4, 0.4)]
    path = save_constant_detector(
        tmp_path / "constants.safetensors", boxes=boxes, scores=[[0.9, 0], [0.8, 0], [0.7, 0]]
    )
    model = mpscnn.load(path)
    assert len(model.detect(photo(50, 50))) == 2
    assert len(model.detect(photo(50, 50), iou_threshold=0.8)) == 3
    assert len(model.detect(photo(50, 50), max_detections=1)) == 1


def test_drawing(model: mpscnn.Model) -> None:
    pixels = np.zeros((160, 400, 3), np.uint8)
    found = model.detect(pixels)
    drawn = np.asarray(found.draw())
    assert drawn.shape == pixels.shape
    changed = drawn.any(axis=2)
    left, top, right, bottom = (round(edge) for edge in found[0].box)
    assert changed[top:bottom, left].all()
    assert changed[bottom - 1, left:right].all()
    assert not changed[top + 20 : bottom - 20, left + 20 : right - 20].any()
    assert not changed[bottom + 5 :].any()
    assert not pixels.any()
    with pytest.raises(
        mpscnn.ShapeError, match="the photo has 30 x 20 pixels, its detections are for 400 x 160"
    ):
        found.draw(photo(30, 20))


def test_labels_are_escaped_in_notebooks(tmp_path: Path) -> None:
    path = save_constant_detector(tmp_path / "constants.safetensors", labels=["<b>", "&"])
    assert ">&lt;b&gt;</td>" in mpscnn.load(path).detect(photo(9, 9))._repr_html_()


def test_raw_heads(model: mpscnn.Model) -> None:
    with model.session() as session:
        heads = session.run(np.zeros((3, 16, 32, 3), np.float32))
    assert isinstance(heads, dict)
    assert heads["boxes"].shape == (3, 1, 4)
    assert heads["scores"].shape == (3, 1, 2)
    assert model.network.detection is not None
    detector = model.network.detection.detector((16, 32))
    (found,) = detector.run(heads["boxes"][2], heads["scores"][2], labels=model.labels)
    assert found.label == "cat"
    assert tuple(found.box) == pytest.approx(EDGES)
    for names in (["cat"], ["cat", "dog", "cow"]):
        with pytest.raises(mpscnn.ParameterError, match=f"{len(names)} labels for 2 classes"):
            detector.run(heads["boxes"][2], heads["scores"][2], labels=names)
    for given in ("many", [[1, 2], [3]]):
        with pytest.raises(mpscnn.ShapeError, match="boxes: "):
            detector.run(given, heads["scores"][2])


# ---- Files ---------------------------------------------------------------------------------------------------


def test_saved_twice_nothing_changes(model: mpscnn.Model, tmp_path: Path) -> None:
    path = tmp_path / "again.safetensors"
    model.network.save(path, dtype="float32", labels=model.labels, preprocess=model.preprocess)
    again = mpscnn.load(path)
    assert again.network.detection is not None
    assert model.network.detection is not None
    assert again.network.detection.settings == model.network.detection.settings
    assert list(again.detect(photo(200, 80))) == list(model.detect(photo(200, 80)))


def test_built_networks_keep_their_head(tmp_path: Path) -> None:
    net = mpscnn.models.ssdlite_mobilenet_v2(classes=20, input_size=96, depth_multiplier=0.25)
    net.initialize_weights(0)
    labels = [f"class {i}" for i in range(20)]
    net.save(tmp_path / "ssdlite.safetensors", preprocess="tensorflow", labels=labels)
    model = mpscnn.load(tmp_path / "ssdlite.safetensors")
    assert model.labels == labels
    assert model.network.detection is not None
    assert len(model.network.detection.detector((96, 96)).anchors) == model.program.outputs["boxes"][1]
    assert isinstance(model.predict(photo(120, 90), score_threshold=0.01), mpscnn.Detections)


def with_settings(**members: Any) -> dict[str, Any]:
    return {**SETTINGS, **members}


def test_settings_can_be_assigned(tmp_path: Path) -> None:
    network = constant_network()
    assert network.detection is not None
    head, network.detection = network.detection, None
    network.detection = dict(head.settings)
    assert network.detection.settings == head.settings
    assert repr(network.detection) == repr(head)
    network.save(tmp_path / "m.safetensors", labels=LABELS, preprocess="unit")
    assert mpscnn.load(tmp_path / "m.safetensors", device="cpu").task == "detection"
    network.detection = {"boxes": 5}
    assert repr(network.detection) == "<DetectionHead: anchors ?, boxes 'boxes', scores 'scores'>"
    with pytest.raises(mpscnn.WeightsError, match="the key 'version' is missing"):
        network.save(tmp_path / "m.safetensors")
    with pytest.raises(mpscnn.ParameterError, match="detection must be a DetectionHead or settings, got 5"):
        network.detection = 5  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("message", "network"),
    [
        ("mpscnn.detection: 3 labels for a detector of 2 classes", {"labels": ["a", "b", "c"]}),
        (
            "2 labels for a detector of 1 classes; the background has no label",
            {
                "labels": LABELS,
                "settings": with_settings(scores={"kind": "probability", "background": True}),
            },
        ),
        (
            "the heads have 1 boxes, but there are 36 anchors for an input of 16x32",
            {"settings": with_settings(anchors={"rule": "scales"})},
        ),
        (
            "outputs 'boxes' of 1 boxes and 'scores' of 2 do not fit each other",
            {"scores": [[0.9], [0.8]]},
        ),
        (r"output 'boxes' is \(1, 1, 5\), boxes have 4 numbers", {"boxes": [[0, 0, 1, 1, 1]]}),
        (
            "output 'scores' has no class",
            {"scores": [[0.9]], "settings": with_settings(scores={"kind": "softmax", "background": True})},
        ),
        (
            "the network has no output 'rectangles'",
            {"settings": with_settings(boxes={"output": "rectangles", "order": "xy"})},
        ),
        ("mpscnn.detection", {"settings": with_settings(extra=1)}),
        ("this mpscnn reads version 1", {"settings": with_settings(version=9)}),
        # The complaint names its subject only once.
        (
            "^[^:]*: mpscnn.detection: iou_threshold is 2",
            {"settings": with_settings(suppression={"iou_threshold": 2.0})},
        ),
        (
            "^[^:]*: mpscnn.detection: the heads have 1 boxes",
            {"settings": with_settings(anchors={"rule": "scales", "strides": [8], "aspect_ratios": [1.0]})},
        ),
    ],
)
def test_heads_that_do_not_fit_are_refused(tmp_path: Path, message: str, network: dict[str, Any]) -> None:
    with pytest.raises(mpscnn.WeightsError, match=message):
        save_constant_detector(tmp_path / "refused.safetensors", **{"labels": None, **network})
    assert not (tmp_path / "refused.safetensors").exists()


def test_outputs_of_another_rank_are_refused(tmp_path: Path) -> None:
    net = constant_network()
    net.detection = DetectionHead(with_settings(boxes={"output": "flat"}))
    net.output(net.flatten(net["boxes"], name="flat"))
    with pytest.raises(
        mpscnn.WeightsError, match=r"output 'flat' is \(n, 4\), a detector's are \(n, boxes, columns\)"
    ):
        net.save(tmp_path / "refused.safetensors", preprocess="unit")


def test_inputs_of_any_size_are_refused(tmp_path: Path) -> None:
    net = constant_network(size=(None, 32))  # type: ignore[arg-type]
    with pytest.raises(mpscnn.WeightsError, match="one image input of a fixed size"):
        net.save(tmp_path / "refused.safetensors", preprocess="unit")


def test_anchors_without_the_rule_stored_are_refused(tmp_path: Path) -> None:
    net = constant_network()
    net.detection = DetectionHead(SETTINGS, np.zeros((1, 4), np.float32))
    with pytest.raises(mpscnn.WeightsError, match="stores anchors, but the anchor rule is not 'stored'"):
        net.save(tmp_path / "refused.safetensors", preprocess="unit")
    net.detection = DetectionHead(with_settings(anchors={"rule": "stored"}), np.zeros((1, 5), np.float32))
    with pytest.raises(mpscnn.WeightsError, match=r"'mpscnn.anchors': must have the shape \(anchors, 4\)"):
        net.save(tmp_path / "refused.safetensors", preprocess="unit")


# ---- Refusals at a photo -------------------------------------------------------------------------------------


def test_boxes_and_scores_that_are_not_finite(tmp_path: Path) -> None:
    """Weights must be finite, so NaN comes from the photo. A photo with an infinity is refused earlier."""
    net = constant_network()
    for name in ("boxes", "scores"):
        net.load_weights(
            {f"{name}_numbers.weight": np.ones_like(net.weight(f"{name}_numbers", "weight"))}, layout="OHWI"
        )
    net.save(tmp_path / "sums.safetensors", preprocess="unit", dtype="float32")
    pixels = np.zeros((16, 32, 3), np.float32)
    pixels[3, 4] = np.nan
    model = mpscnn.load(tmp_path / "sums.safetensors", device="cpu")
    with pytest.raises(mpscnn.ParameterError, match="must be finite"):
        model.detect(pixels)
    pixels[3, 4] = np.inf
    with pytest.raises(mpscnn.ImageError, match="has values from 0 to inf"):
        model.detect(pixels)


@pytest.mark.parametrize(
    ("builder", "arguments", "message"),
    [
        ("ssd_mobilenet_v1", {"classes": 0}, "classes must be a number of at least 1, got 0"),
        ("ssdlite_mobilenet_v2", {"classes": 2.5}, "classes must be a whole number of at least 1, got 2.5"),
        ("ssd_mobilenet_v1", {"score": "none"}, "score must be 'sigmoid' or 'softmax', got 'none'"),
        ("ssd_mobilenet_v1", {"input_size": 8}, "input_size must be at least 32"),
        ("ssdlite_mobilenet_v2", {"depth_multiplier": 9}, "depth_multiplier must be"),
    ],
)
def test_refused_builds(builder: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        getattr(mpscnn.models, builder)(**arguments)


def test_describing_a_model(model: mpscnn.Model) -> None:
    described = json.loads(model._core.describe())
    assert described["detection"]["scores"]["kind"] == "probability"
    assert json.loads(mpscnn.load()._core.describe())["detection"] is None
