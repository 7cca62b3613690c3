"""Test segmentation models: label maps of photos, areas, pictures, and photos or labels that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from reference.label_map import sampled_scores
from reference.preprocess import oriented

import mpscnn
from mpscnn.vision.segmentation import UNSEEN

NAMES = ("background", "red", "green", "blue")


def colour_segmenter(size: tuple[int, int] = (8, 12), pool: int = 1, classes: int = 4) -> mpscnn.Network:
    """Return a network with scores for each `pool` x `pool` pixels: 0.3, and the amounts of red, green and blue."""
    network = mpscnn.Network(input=(*size, 3), name="colours")
    x = network.average_pool2d(network.input, pool, name="pool") if pool > 1 else network.input
    network.output(network.conv2d(x, classes, 1, name="scores"))
    weight = np.zeros((classes, 1, 1, 3), np.float32)
    weight[1:4, 0, 0] = np.eye(3)
    bias = np.zeros(classes, np.float32)
    bias[0] = 0.3
    network.load_weights({"scores.weight": weight, "scores.bias": bias})
    return network


def saved(path: Path, network: mpscnn.Network, preprocess: Any = "unit", labels: Any = NAMES) -> mpscnn.Model:
    network.save(path, dtype="float32", labels=labels, preprocess=preprocess)
    return mpscnn.load(path, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mpscnn.Model:
    return saved(tmp_path_factory.mktemp("model") / "colours.safetensors", colour_segmenter())


def photo_of(seed: int, height: int, width: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


extents = st.integers(1, 40)


@given(
    st.tuples(extents, extents),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["stretch", "center_crop", "letterbox"]),
    st.sampled_from([1.0, 0.875, 0.5]),
    st.sampled_from(["center", "top_left", "whole_pixels"]),
    st.integers(0, 2**32 - 1),
)
def test_it_follows_the_definition(
    tmp_path_factory: pytest.TempPathFactory,
    photo: tuple[int, int],
    pool: int,
    fit: str,
    crop_fraction: float,
    placing: str,
    seed: int,
) -> None:
    size = (9, 12)
    network = colour_segmenter(size, pool)
    settings = {
        "fit": fit,
        "crop_fraction": crop_fraction,
        "scale": [1 / 255] * 3,
        "letterbox_position": "top_left" if placing == "top_left" else "center",
        "whole_pixels": placing == "whole_pixels",
    }
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    pixels = photo_of(seed, *photo)
    result = saved(path, network, settings).segment(pixels, scores=True)
    grid = network.compile(device="cpu", precision="float32").session()
    scores = np.asarray(grid.run(mpscnn.preprocess(pixels, size, settings)))[0]
    expected, seen = sampled_scores(
        scores, photo, size, fit, crop_fraction, placing != "top_left", placing == "whole_pixels"
    )
    assert result.scores is not None
    np.testing.assert_array_equal(np.isnan(result.scores).any(axis=2), ~seen)
    np.testing.assert_allclose(result.scores[seen], expected[seen], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(result.labels[~seen], UNSEEN)
    np.testing.assert_array_equal(result.labels[seen], result.scores[seen].argmax(axis=1))
    without = saved(path, network, settings).segment(pixels)
    ordered = np.sort(expected, axis=2)
    clear = seen & (ordered[:, :, -1] - ordered[:, :, -2] > 1e-5)
    assert without.scores is None
    np.testing.assert_array_equal(without.labels[clear], result.labels[clear])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_lie_as_the_photo_is_seen(model: mpscnn.Model, tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[:3, :5] = 255, 0, 0
    pixels[5:, 7:] = 0, 0, 255
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    result = model.segment(path)
    seen = oriented(pixels, orientation)
    assert result.labels.shape == seen.shape[:2]
    # Rotated photos are also resized, but their corners keep their colours.
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        colour = seen[corner]
        assert result.labels[corner] == (0 if not colour.any() else 1 + int(colour.argmax()))
    picture = result.draw(path, opacity=0.0, legend=False)
    np.testing.assert_array_equal(np.asarray(picture), seen)


def result_of(labels: Any, names: Any = NAMES) -> mpscnn.Segmentation:
    return mpscnn.Segmentation(np.asarray(labels, np.uint8), tuple(names), "cpu", "float32", "", 1.5)


def test_areas_and_text() -> None:
    result = result_of([[0, 0, 0, 2], [2, 2, 2, 1]])
    assert [(area.label, area.pixels, area.fraction) for area in result.areas] == [
        ("green", 4, 0.5),
        ("background", 3, 0.375),
        ("red", 1, 0.125),
    ]
    expected = "<Segmentation 4 x 2: green 50.0%, background 37.5%, red 12.5%; 1.50 ms on cpu (float32)>"
    assert repr(result) == expected
    np.testing.assert_array_equal(result.mask("red"), result.labels == 1)
    np.testing.assert_array_equal(result.mask(2), result.labels == 2)
    with pytest.raises(mpscnn.ParameterError, match=r"no class 'gren'; did you mean 'green'\?"):
        result.mask("gren")
    with pytest.raises(mpscnn.ParameterError, match="numbers 0 to 3, got 4"):
        result.mask(4)


def test_pictures() -> None:
    result = result_of([[0, 1], [UNSEEN, 2]])
    photo = np.full((2, 2, 3), 200, np.uint8)
    drawn = np.asarray(result.draw(photo, opacity=1.0, legend=False))
    assert drawn[0, 0].tolist() == drawn[1, 0].tolist() == [200, 200, 200]
    assert drawn[0, 1].tolist() == [128, 0, 0]  # the colours of Pascal VOC for the classes 1 and 2
    assert drawn[1, 1].tolist() == [0, 128, 0]
    half = np.asarray(result.draw(photo, opacity=np.float32(0.5), legend=False))
    assert abs(int(half[0, 1, 0]) - 164) <= 1
    assert np.asarray(result.draw(legend=False))[0, 0].tolist() == [0, 0, 0]
    with_legend = result.draw(photo)
    assert with_legend.height > 2
    labels = result.label_picture()
    assert labels.mode == "P"
    np.testing.assert_array_equal(np.asarray(labels), result.labels)
    assert labels.convert("RGB").getpixel((1, 0)) == (128, 0, 0)


def test_show_opens_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(Image.Image, "show", lambda self: shown.append(self.size))
    result_of([[1, 2, 3]]).show()
    assert len(shown) == 1


@pytest.mark.parametrize("kind", ["gray8", "gray_alpha8", "rgba8", "gray16", "rgb32f", "float"])
def test_any_photo_can_be_drawn_on(kind: str) -> None:
    photos: dict[str, Any] = {
        "gray8": np.full((2, 3), 51, np.uint8),
        "gray_alpha8": np.full((2, 3, 2), (51, 255), np.uint8),
        "rgba8": np.full((2, 3, 4), (51, 51, 51, 255), np.uint8),
        "gray16": np.full((2, 3), 51 * 257, np.uint16),
        "rgb32f": np.full((2, 3, 3), 0.2, np.float32),
        "float": np.full((2, 3, 1), 0.2, np.float64),
    }
    picture = result_of(np.zeros((2, 3))).draw(photos[kind])
    assert np.asarray(picture)[0, 0].tolist() == [51, 51, 51]


def test_a_wrong_photo_or_opacity_is_refused() -> None:
    result = result_of([[0, 1]])
    with pytest.raises(mpscnn.ShapeError, match="the photo has 3 x 1 pixels, its labels are for 2 x 1"):
        result.draw(np.zeros((1, 3, 3), np.uint8))
    for opacity in (-0.1, 1.5, float("nan"), True):
        with pytest.raises(mpscnn.ParameterError, match="opacity must be from 0 to 1"):
            result.draw(opacity=opacity)


# ---- Missing labels and errors -------------------------------------------------------------------------------


def test_labels_of_another_length_are_refused_when_saved(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.WeightsError, match="3 labels for a network of 4 classes"):
        colour_segmenter().save(tmp_path / "m.safetensors", labels=NAMES[:3], preprocess="unit")


def test_a_model_without_labels_numbers_them(tmp_path: Path) -> None:
    result = saved(tmp_path / "m.safetensors", colour_segmenter(), labels=None).segment(photo_of(0, 4, 4))
    assert result.names == ("class 0", "class 1", "class 2", "class 3")


def test_networks_that_do_not_segment(tmp_path: Path, model: mpscnn.Model) -> None:
    photo = photo_of(0, 4, 4)
    ends_in_labels = colour_segmenter()
    ends_in_labels.outputs.clear()
    structure = ends_in_labels.to_dict() | {"outputs": []}
    network = ends_in_labels.restructured(structure, {"scores": "scores"})
    network.output(network.argmax(network["scores"], name="labels"))
    refused = saved(tmp_path / "a.safetensors", network, labels=None)
    with pytest.raises(
        mpscnn.ShapeError, match=r"is not a segmenter: its output \(n, 8, 12, 1\) is one number"
    ):
        refused.segment(photo)
    many = saved(tmp_path / "b.safetensors", colour_segmenter(classes=256), labels=None)
    with pytest.raises(mpscnn.UnsupportedError, match="256 classes, a label map holds 255"):
        many.segment(photo)
    unstated = saved(tmp_path / "c.safetensors", colour_segmenter(), preprocess=None)
    with pytest.raises(mpscnn.UnsupportedError, match="does not say how a photo becomes its input"):
        unstated.segment(photo)
    free = mpscnn.Network(input=(None, None, 3))
    free.output(free.conv2d(free.input, 4, 1, name="scores"))
    free.initialize_weights()
    with pytest.raises(mpscnn.ShapeError, match="segmenting needs one image input of a fixed size"):
        saved(tmp_path / "d.safetensors", free).segment(photo)
    with pytest.raises(mpscnn.ShapeError, match=r"is not a classifier: its output is \(n, 8, 12, 4\)"):
        model.classify(photo)


@pytest.mark.parametrize("scores", [False, True])
def test_infinite_scores_count_as_the_largest_numbers(tmp_path: Path, scores: bool) -> None:
    results = []
    for factor in (3e38, 1e6):  # 3e38 times two or more is infinite
        network = mpscnn.Network(input=(8, 12, 3), name="large")
        network.output(network.conv2d(network.input, 3, 1, name="scores"))
        weight = np.diag([factor, -factor, 0]).astype(np.float32).reshape(3, 1, 1, 3)
        bias = np.array([-1, 0.5, 0.25], np.float32)
        network.load_weights({"scores.weight": weight, "scores.bias": bias}, layout="OHWI")
        model = saved(tmp_path / "m.safetensors", network, "none", NAMES[1:])
        photos = [photo_of(seed, *size) // 128 * 255 for seed, size in enumerate([(8, 12), (16, 18), (5, 9)])]
        results.append([model.segment(photo, scores=scores) for photo in photos])
    for infinite, finite in zip(*results, strict=True):
        np.testing.assert_array_equal(infinite.labels, finite.labels)
        assert infinite.scores is None or np.isfinite(infinite.scores).all()


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = colour_segmenter()
    network.load_weights({"scores.weight": np.full((4, 1, 1, 3), 3e38), "scores.bias": np.zeros(4)})
    photo = np.full((8, 12, 3), 255, np.uint8)
    nan = photo.astype(np.float32) * np.float32("nan")
    with pytest.raises(mpscnn.ParameterError, match=r"a score is not a number \(NaN\)"):
        saved(tmp_path / "m.safetensors", network).segment(nan)
