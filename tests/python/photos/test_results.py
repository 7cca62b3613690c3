"""Test results as text, as pictures and in notebooks.

Classifications are tested here, others next to their own tests.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import save_colour_model, save_photo
from PIL import Image

import mpscnn
from mpscnn._private.bars import text_font
from mpscnn.errors import ImageError
from mpscnn.vision.object_mask import mask_from_coco


def plain_photo(width: int, height: int) -> np.ndarray[Any, Any]:
    return np.full((height, width, 3), 90, np.uint8)


def pixels_of(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mpscnn.Model:
    path = tmp_path_factory.mktemp("model") / "colours.safetensors"
    return mpscnn.load(save_colour_model(path, labels=("<red>", "green", "blue")), device="cpu")


def test_a_classification_is_a_sequence(model: mpscnn.Model) -> None:
    result = model.classify(plain_photo(8, 6))
    assert list(result) == [result[0], result[1], result[-1]] == result.top(3)
    assert result[:2] == result.predictions[:2]
    assert result[0] in result
    with pytest.raises(IndexError):
        result[3]
    assert result.top(0) == []
    for wrong in (-1, 1.5, None):
        with pytest.raises(
            mpscnn.ParameterError, match=r"count must be a (whole )?number of at least 0, got"
        ):
            result.top(wrong)  # type: ignore[arg-type]


def test_bars_are_as_long_as_probabilities(model: mpscnn.Model, tmp_path: Path) -> None:
    path = save_photo(tmp_path / "red.png", "red", (400, 300))
    result = model.classify(path)
    drawn = np.asarray(result.draw())
    assert drawn.shape[1] == 400
    np.testing.assert_array_equal(drawn[:300], pixels_of(path))
    line = (len(drawn) - 300) // 3
    assert len(drawn) == 300 + 3 * line
    for row, entry in enumerate(result):
        first = drawn[300 + row * line + 2]  # a row above the text
        filled = int((first != 255).any(axis=1).sum())
        assert filled == pytest.approx(entry.probability * 400, abs=1.5)
    assert result.draw(count=1).height == 300 + line
    # The picture is wider than the photo, so that the text fits.
    assert result.draw(np.zeros((10, 10, 3), np.uint8)).width > 10


def test_a_page_of_a_notebook(model: mpscnn.Model, tmp_path: Path) -> None:
    path = save_photo(tmp_path / "red.png", "red")
    result = model.classify(path)
    page = result._repr_html_()
    assert page.startswith('<img src="data:image/png;base64,')
    assert re.findall("<td[^>]*>(.*?)</td>", page)[:2] == ["&lt;red&gt;", f"{result[0].probability:.1%}"]
    path.unlink()
    page = result._repr_html_()
    assert "<img" not in page
    assert f"{path}: cannot be read" in page
    assert ">&lt;red&gt;</td>" in page
    with pytest.raises(mpscnn.ImageError, match="cannot be read"):
        result.draw()


def test_a_segmentation_draws_on_its_photo(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    network.output(network.conv2d(network.input, 2, 1, name="scores"))
    network.load_weights(
        {"scores.weight": np.zeros((2, 1, 1, 3), np.float32), "scores.bias": np.array([1, 0], np.float32)}
    )
    network.save(tmp_path / "m.safetensors", labels=["background", "b"], preprocess="unit")
    path = save_photo(tmp_path / "red.png", "red")
    result = mpscnn.load(tmp_path / "m.safetensors", device="cpu").predict(path)
    np.testing.assert_array_equal(np.asarray(result.draw()), pixels_of(path))
    path.unlink()
    assert "cannot be read" in result._repr_html_()


def test_texts_are_short(model: mpscnn.Model) -> None:
    head = mpscnn.models.ssd_head()
    assert repr(head) == "<DetectionHead: anchors scales, boxes 'boxes', scores 'scores'>"
    detector = head.detector((300, 300))
    assert repr(detector) == "<Detector: 1917 anchors (scales), sigmoid scores, hard suppression>"
    assert repr(mpscnn.open_photo(plain_photo(8, 6))) == "<Photo 'array (6, 8, 3) uint8': 8 x 6, rgb8>"
    # Frames are combined, so the first one cannot be done before the second one is submitted.
    with mpscnn.Runner(model.program, max_batch=2, max_wait=1e6) as runner:
        results = runner.map([np.zeros((1, 8, 8, 3), np.float32)] * 2)
        assert repr(results) == f"<OrderedResults of {runner!r}, 0 under way>"
        next(results)
        assert repr(results).endswith(", 1 under way>")
        assert len(list(results)) == 1
        assert repr(results).endswith(", 0 under way>")


# ---- For other programs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_results_as_json_and_csv(task: str, tmp_path: Path) -> None:
    result = photo_models.load(tmp_path, task).predict(photo_models.photos(1)[0])
    as_dict = result.to_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert json.loads(result.to_json()) == as_dict
    assert (as_dict["device"], as_dict["precision"]) == ("cpu", "float32")
    assert as_dict["milliseconds"] == pytest.approx(result.milliseconds, abs=1e-3)
    listed = as_dict[
        {"classification": "predictions", "detection": "detections", "segmentation": "areas"}[task]
    ]
    table = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert listed
    assert [row["label"] for row in table] == [entry["label"] for entry in listed]
    assert list(table[0]) == list(result.columns)
    number = {"classification": "probability", "detection": "score", "segmentation": "fraction"}[task]
    assert [float(row[number]) for row in table] == [entry[number] for entry in listed]


def test_results_as_arrays(model: mpscnn.Model, tmp_path: Path) -> None:
    result = model.classify(plain_photo(8, 6))
    assert result.indices.tolist() == [entry.index for entry in result]
    detector = photo_models.load(tmp_path, "detection")
    found = detector.predict(photo_models.photos(1)[0])
    assert found.boxes.shape == (len(found), 4)
    np.testing.assert_allclose(found.boxes, [entry.box for entry in found])
    assert found.scores.tolist() == [entry.score for entry in found]
    assert found.indices.tolist() == [entry.index for entry in found]
    nothing = detector.detect(photo_models.photos(1)[0], score_threshold=1.0)
    assert (nothing.boxes.shape, nothing.scores.shape) == ((0, 4), (0,))


def test_probabilities_are_in_the_order_of_the_network(model: mpscnn.Model, tmp_path: Path) -> None:
    photos = [save_photo(tmp_path / f"{colour}.png", colour) for colour in ("red", "green", "blue")]
    for result in (model.classify(photos[2]), model.classify(photos[2], top=3)):
        assert result.label == "blue"
        assert result.labels == model.labels
        assert result.probabilities.dtype == np.float32
        assert result.probabilities.tolist() == [
            found.probability for found in sorted(result, key=lambda x: x.index)
        ]
        np.testing.assert_array_equal(np.sort(result.probs)[::-1], result.probs[result.indices])
        np.testing.assert_array_equal(np.asarray(result, np.float64), result.probabilities)
    found = model.predict(photos)
    assert np.argmax(found, axis=-1).tolist() == [0, 1, 2] == [result.top1.index for result in found]
    best = model.classify(photos[0], top=1)
    for name in ("probabilities", "labels"):
        with pytest.raises(mpscnn.ParameterError, match=r"only the 1 most probable classes.*leave out top="):
            getattr(best, name)
    with pytest.raises(mpscnn.ParameterError, match="leave out top="):
        np.asarray(best)


def test_objects_that_hold_an_image_are_arrays() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    gray = np.full((2, 4), 9, np.uint8)
    turned = mpscnn.open_photo(pixels, orientation=6)
    yuv = mpscnn.YuvImage(np.full((2, 4), 128, np.uint8), np.full((1, 2, 2), 128, np.uint8), range="full")
    mask = mask_from_coco({"size": [2, 4], "counts": "242"})
    labels = mpscnn.Segmentation(gray, ("a",), "cpu", "float32", "", 1.0)
    for found, expected in (
        (mpscnn.open_photo(pixels), pixels),
        (mpscnn.open_photo(pixels[..., ::-1], channel_order="bgr"), pixels),
        (mpscnn.open_photo(gray), np.stack([gray] * 3, -1)),
        (mpscnn.open_photo(pixels.astype(np.uint16) * 257), pixels),
        (turned, np.rot90(pixels, -1)),
        (yuv, np.full((2, 4, 3), 128, np.uint8)),
        (mask, mask.pixels),
        (labels, gray),
    ):
        np.testing.assert_array_equal(np.asarray(found), expected, strict=True)
        if isinstance(found, mpscnn.photo.Photo):
            assert found.shape == expected.shape
    with pytest.raises(ValueError, match="by a copy only"):
        np.array(labels, np.float32, copy=False)


def test_a_pillow_whose_font_has_one_size_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFont.load_default", lambda: None)
    with pytest.raises(ImageError, match=r"needs Pillow 10\.1 or later"):
        text_font(10.0)
