"""Test tiles: networks run on parts of a photo, and their results are merged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from constant_detector import constant_network
from detection.sahi_tiles import BOXES, CASES
from PIL import Image

import mpscnn
from mpscnn.vision.detector import DetectionHead

#: What SAHI 0.12.8 finds, printed by sahi_tiles.py: class, score and the four edges of each object.
SAHI: dict[Any, str] = {
    (70, 50, 32, 0.25, 0.15, True): (
        "0 0.452 7.168 9.77 22.63 16.192; 0 0.452 7.168 27.77 22.63 34.192; 0 0.452 31.168 9.77 46.63 "
        "16.192; 0 0.452 45.168 9.77 60.63 16.192; 0 0.555 19.325 31.059 32 40.986; 0 0.555 43.325 31.059"
        " 56 40.986; 0 0.555 57.325 31.059 70 40.986; 0 0.629 15.68 10.362 49.504 25.3; 0 0.629 43.325 "
        "10.362 56 22.986; 0 0.629 57.325 10.362 70 22.986; 0 0.857 25.526 27.354 32 40.698; 0 0.857 "
        "31.923 45.354 32 50; 0 0.857 42.273 20.405 70 40.698; 0 0.857 55.923 45.354 56 50; 0 0.857 "
        "63.526 27.354 70 40.698; 0 0.857 69.832 42.74 70 50; 1 0.296 27.606 2.525 32 12.88; 1 0.296 "
        "27.606 20.525 32 30.88; 1 0.296 51.606 2.525 56 12.88; 1 0.296 51.606 20.525 56 30.88; 1 0.296 "
        "60.389 2.525 70 20.125; 1 0.296 65.606 20.525 70 30.88;"
    ),
    (70, 50, 32, 0.25, 0.15, False): (
        "0 0.452 7.168 9.77 22.63 16.192; 0 0.452 7.168 27.77 22.63 34.192; 0 0.452 31.168 9.77 46.63 "
        "16.192; 0 0.452 45.168 9.77 60.63 16.192; 0 0.555 19.325 31.059 32 40.986; 0 0.555 43.325 31.059"
        " 56 40.986; 0 0.555 57.325 31.059 70 40.986; 0 0.629 15.68 10.362 49.504 25.3; 0 0.629 43.325 "
        "10.362 56 22.986; 0 0.629 57.325 3.945 70 22.986; 0 0.857 25.526 27.354 32 40.698; 0 0.857 "
        "31.923 45.354 32 50; 0 0.857 42.273 20.405 70 40.698; 0 0.857 55.923 45.354 56 50; 0 0.857 "
        "63.526 27.354 70 40.698; 0 0.857 69.832 42.74 70 50; 1 0.296 27.606 2.525 32 12.88; 1 0.296 "
        "51.606 2.525 56 12.88; 1 0.296 65.606 2.525 70 12.88;"
    ),
    (70, 50, 32, 0.0, 0.05, True): (
        "0 0.452 7.168 9.77 22.63 16.192; 0 0.452 7.168 27.77 22.63 34.192; 0 0.452 15.68 15.265 49.504 "
        "25.3; 0 0.452 39.168 9.77 54.63 16.192; 0 0.452 39.168 27.77 54.63 34.192; 0 0.452 45.168 9.77 "
        "60.63 16.192; 0 0.452 45.168 27.77 60.63 34.192; 0 0.555 19.325 13.059 32 22.986; 0 0.555 19.325"
        " 31.059 32 40.986; 0 0.555 42.273 20.405 70 35.915; 0 0.555 51.325 13.059 64 22.986; 0 0.555 "
        "51.325 31.059 64 40.986; 0 0.555 57.325 13.059 70 22.986; 0 0.555 57.325 31.059 70 40.986; 0 "
        "0.629 25.526 10.362 32 22.698; 0 0.629 25.526 28.362 32 40.698; 0 0.629 55.839 16.19 70 35.465; "
        "0 0.629 57.526 10.362 64 22.698; 0 0.629 57.526 28.362 64 40.698; 0 0.629 63.526 10.362 70 "
        "22.698; 0 0.629 63.526 28.362 70 40.698; 0 0.857 31.923 27.354 32 32; 0 0.857 31.923 45.354 32 "
        "50; 0 0.857 63.923 27.354 64 32; 0 0.857 63.923 45.354 64 50; 0 0.857 69.832 42.74 70 50; 0 "
        "0.857 69.923 27.354 70 32; 0 0.857 69.923 45.354 70 50; 1 0.296 27.606 2.525 32 12.88; 1 0.296 "
        "27.606 20.525 32 30.88; 1 0.296 59.606 2.525 64 12.88; 1 0.296 59.606 20.525 64 30.88; 1 0.296 "
        "60.389 3.945 70 20.125; 1 0.296 65.606 2.525 70 12.88; 1 0.296 65.606 20.525 70 30.88;"
    ),
    (41, 90, 40, 0.5, 0.3, True): (
        "0 0.452 8.96 12.212 29.288 20.24; 0 0.452 8.96 27.477 29.288 45.54; 0 0.452 8.96 52.212 29.288 "
        "60.24; 0 0.452 8.96 62.212 29.288 70.24; 0 0.629 24.156 12.952 41 28.732; 0 0.857 24.156 29.142 "
        "41 64.647; 0 0.857 24.156 52.952 41 68.732; 0 0.857 24.156 62.952 41 80; 0 0.857 39.904 84.192 "
        "40 90; 0 0.857 40.902 74.192 41 90; 0 0.857 40.904 34.192 41 40; 0 0.857 40.904 54.192 41 60;"
    ),
}
SIZE = (32, 32)


def detector(threshold: float, apart: bool, **options: Any) -> mpscnn.Model[Any]:
    scores = np.zeros((len(BOXES), 2))
    scores[np.arange(len(BOXES)), BOXES[:, 4].astype(int)] = BOXES[:, 5]
    settings = {
        "version": 1,
        "anchors": {"rule": "none"},
        "boxes": {"order": "xy"},
        "scores": {"kind": "probability", "background": False},
        "suppression": {"score_threshold": threshold, "iou_threshold": 1.0, "per_class": apart},
    }
    network = constant_network(BOXES[:, :4], scores, size=SIZE, settings=settings)
    return mpscnn.Model(network, preprocess="unit", labels=["cat", "dog"], device="cpu", **options)


def photo(width: int, height: int) -> Any:
    return np.zeros((height, width, 3), np.uint8)


def rows(found: Any) -> list[tuple[float, ...]]:
    return sorted((float(one.index), round(one.score, 3), *map(float, one.box)) for one in found)


@pytest.mark.parametrize("case", CASES)
def test_boxes_are_merged_as_sahi_does(case: Any) -> None:
    width, height, side, overlap, threshold, apart = case
    expected = [tuple(map(float, row.split())) for row in SAHI[case].split(";") if row.strip()]
    found = detector(threshold, apart).predict(photo(width, height), tiles=side, overlap=overlap)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    np.testing.assert_allclose(rows(found), expected, atol=2e-3)


def test_every_way_gives_the_same_boxes() -> None:
    model, image = detector(0.15, True), photo(70, 50)
    whole, tiled = model.predict(image), model.predict(image, tiles=32)
    assert rows(model.predict(image, tiles=70)) == rows(whole) != rows(tiled)
    assert rows(model.predict(image, tiles=32, overlap=0.2)) == rows(tiled)
    with mpscnn.Runner(model, inflight=2, max_batch=4) as runner:
        ways = [*runner.map([image] * 3, tiles=32), *runner.map([image])]
    assert [rows(found) for found in ways] == [rows(tiled)] * 3 + [rows(whole)]
    assert len(model.predict(image, tiles=32, max_detections=3)) == 3
    assert {one.label for one in model.predict(image, tiles=32, classes=["dog"])} == {"dog"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"tiles": 0}, "tiles must be"),
        ({"tiles": 32.5}, "tiles must be"),
        ({"tiles": 32, "overlap": 1.0}, "overlap must be from 0 to below 1, got 1.0"),
        ({"tiles": 32, "overlap": float("nan")}, "overlap must be from 0 to below 1"),
        ({"overlap": 0.2}, "overlap is for tiles"),
        ({"tiles": 1}, "more than 1024 for a photo of 70x50; take larger tiles or less overlap"),
        ({"tiles": 8, "overlap": 0.9}, "more than 1024"),
    ],
)
def test_refusals(options: dict[str, Any], what: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=what):
        detector(0.5, True).predict(photo(70, 50), **options)


def test_images_that_depend_on_each_other_are_refused() -> None:
    net = mpscnn.Network(input=(8, 8, 3), name="dropped")
    net.output(net.dropout(net.input, training=True))
    model = mpscnn.Model(net, preprocess="unit", device="cpu")
    assert model.predict(photo(70, 50)).labels.shape == (50, 70)
    with pytest.raises(mpscnn.UnsupportedError, match="dropout_1' makes them depend on each other"):
        model.predict(photo(70, 50), tiles=32)


def test_orientations_and_layouts_have_the_same_tiles() -> None:
    """A tile is a part of the photo's memory, whatever its orientation, channels and order of rows."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    model = segmenter()
    expected = model.segment(pixels, tiles=24, scores=True)
    turned = Image.fromarray(np.rot90(pixels).copy())
    turned.getexif()[0x0112] = 6  # turns it clockwise
    for same in (pixels[::-1].copy()[::-1], np.dstack([pixels, np.full((50, 70), 255, np.uint8)]), turned):
        found = model.segment(same, tiles=24, scores=True)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert not np.array_equal(model.segment(pixels).labels, expected.labels)


def test_video_frames_have_tiles() -> None:
    """Chroma has one sample for two pixels, so a tile begins at an even one."""
    random = np.random.default_rng(3)
    blocks = random.integers(40, 200, (2, 5, 7), np.uint8)
    luma, chroma = (np.kron(one, np.ones((10, 10), np.uint8)) for one in blocks)
    halves = np.ascontiguousarray(chroma[::2, ::2])
    frame = mpscnn.YuvImage(luma, np.dstack([halves, halves[:, ::-1]]))
    planar = mpscnn.YuvImage(luma, halves, np.ascontiguousarray(halves[:, ::-1]))
    model = segmenter()
    found = model.segment(frame, tiles=25, overlap=0.1).labels
    np.testing.assert_array_equal(model.segment(planar, tiles=25, overlap=0.1).labels, found)
    as_rgb = model.segment(np.asarray(mpscnn.open_photo(frame)), tiles=25, overlap=0.1).labels
    assert np.mean(found == as_rgb) > 0.95


def segmenter() -> mpscnn.Model[Any]:
    """Return a segmenter whose classes are the brightest of red, green and blue, at 8 x 8 points."""
    net = mpscnn.Network(input=(8, 8, 3), name="colours")
    net.output(net.conv2d(net.input, 3, 1, name="scores"))
    net.load_weights(
        {
            "scores.weight": np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3),
            "scores.bias": np.zeros(3, np.float32),
        },
        layout="OHWI",
    )
    return mpscnn.Model(net, preprocess="unit", labels=["red", "green", "blue"], device="cpu")


def test_pixels_have_the_class_of_their_nearest_tile() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    model = segmenter()
    found = model.segment(pixels, tiles=24, overlap=0.5, scores=True)
    starts = {50: (0, 12, 24, 26), 70: (0, 12, 24, 36, 46)}
    for row, column in np.random.default_rng(2).integers(0, (50, 70), (40, 2)):
        top, left = (
            min(starts[extent], key=lambda start, at=at: abs(start + 12 - at - 0.5))
            for at, extent in ((row, 50), (column, 70))
        )
        tile = model.segment(np.ascontiguousarray(pixels[top : top + 24, left : left + 24]), scores=True)
        assert found.labels[row, column] == tile.labels[row - top, column - left]
        np.testing.assert_array_equal(found.scores[row, column], tile.scores[row - top, column - left])


def test_masks_of_united_boxes_are_united() -> None:
    """The network's input is its only prototype, so a mask has the bright pixels of its box."""
    net = constant_network([(0.0, 0.0, 1.0, 1.0)], [(0.9, 0.1)], size=SIZE)
    head = net.detection
    assert head is not None
    net.output(net.conv2d(net.input, 1, 1, name="prototypes"))
    pooled = net.global_average_pool2d(net.input)
    net.output(net.reshape(net.conv2d(pooled, 1, 1, name="weight"), (1, 1), name="coefficients"))
    bright = {"prototypes.weight": np.ones((1, 1, 1, 3)), "prototypes.bias": [-1.5]}
    one = {"weight.weight": np.zeros((1, 1, 1, 3)), "weight.bias": [1.0]}
    net.load_weights(
        {name: np.array(value, np.float32) for name, value in (bright | one).items()}, layout="OHWI"
    )
    masks = {"coefficients": "coefficients", "prototypes": "prototypes"}
    net.detection = DetectionHead({**head.settings, "masks": masks})
    model = mpscnn.Model(net, preprocess="unit", labels=["cat", "dog"], device="cpu")
    pixels = photo(64, 48)
    pixels[16:32, 8:56] = 255
    found = model.predict(pixels, tiles=32, overlap=0.5)[0]  # the first tile with the whole photo
    assert found.box == (0, 0, 64, 48)
    assert found.mask is not None
    shown = found.mask.on_photo((64, 48))
    assert np.mean(shown == (pixels[:, :, 0] > 0)) > 0.97
    (whole,) = model.predict(pixels)
    assert whole.mask is not None
    assert np.mean(whole.mask.on_photo((64, 48)) == shown) > 0.9
