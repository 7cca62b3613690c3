"""Test large JPEG files that are decoded at a part of their size."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from PIL import Image

import mpscnn
from mpscnn.vision.preprocessing import decoded_size

CAT = mpscnn.samples.photo("cat")
ORIENTATION = 0x0112
# The largest and the mean difference, in steps of 0..255, that docs/preprocessing.md ("Large JPEG files") allows.
LARGEST, MEAN = 16, 2


def jpeg(image: Image.Image, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95, exif=exif, **options)
    return stream.getvalue()


def cat(width: int = 448, height: int = 296) -> Image.Image:
    return Image.open(CAT).crop((0, 0, width, height))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(("output", "factor"), [(74, 2), (37, 4), (18, 8)])
@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}])
def test_inputs_differ_by_less_than_the_stated_bound(
    mode: str, output: int, factor: int, options: dict[str, Any]
) -> None:
    content = jpeg(cat().convert(mode), **options)
    reduced = mpscnn.open_photo(content, min_size=2 * output)
    assert reduced.reduction == factor
    difference = np.abs(
        mpscnn.preprocess(reduced, output, "none") - mpscnn.preprocess(content, output, "none")
    )
    assert 0 < difference.max() < LARGEST
    assert difference.mean() < MEAN


@pytest.mark.parametrize(
    ("min_size", "factor"),
    [(1, 8), (37, 8), (38, 4), ((37, 56), 8), ((37, 57), 4), ((75, 1), 2), (148, 2), (149, 1), (1000, 1)],
)
def test_the_sides_are_at_least_as_long_as_asked(min_size: Any, factor: int) -> None:
    photo = mpscnn.open_photo(jpeg(cat()), min_size=min_size)
    assert photo.reduction == factor
    assert photo.size == (448 // factor, 296 // factor)


@pytest.mark.parametrize(
    ("size", "factor"), [((448, 292), 4), ((446, 294), 2), ((447, 296), 1), ((448, 295), 1)]
)
def test_a_factor_divides_both_sides(size: tuple[int, int], factor: int) -> None:
    assert mpscnn.open_photo(jpeg(cat(*size)), min_size=1).reduction == factor


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_sides_are_those_of_the_upright_photo(orientation: int) -> None:
    content = jpeg(cat(), orientation)
    turned = orientation >= 5
    photo = mpscnn.open_photo(content, min_size=(112, 74) if turned else (74, 112))
    assert photo.reduction == 4
    assert photo.size == ((74, 112) if turned else (112, 74))
    assert photo.orientation == orientation
    assert mpscnn.open_photo(content, min_size=(113, 1) if turned else (1, 113)).reduction == 2


def test_without_the_option_and_in_other_formats_all_pixels_are_decoded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    cat().save(stream, "PNG")
    array = np.asarray(cat())
    for given in (stream.getvalue(), array, Image.fromarray(array)):
        photo = mpscnn.open_photo(given, min_size=1)
        assert (photo.reduction, photo.size) == (1, (448, 296))
    assert mpscnn.open_photo(jpeg(cat())).size == (448, 296)


@pytest.mark.parametrize("wrong", [0, -1, (1, 0), (1, 2, 3), "large", 1.5])
def test_a_wrong_size_is_refused(wrong: Any) -> None:
    with pytest.raises(mpscnn.ParameterError, match="min_size"):
        mpscnn.open_photo(CAT, min_size=wrong)


@pytest.fixture(scope="module")
def classifier() -> mpscnn.Model:
    return mpscnn.load(device="cpu")


def test_fast_decode_gives_the_result_of_the_reduced_photo(classifier: mpscnn.Model) -> None:
    """The factor leaves twice the size of the input, which is 64 x 64 here, and is off by default."""
    content = jpeg(cat())
    height, width = (int(extent or 0) for extent in classifier.input_shape[1:3])
    reduced = mpscnn.open_photo(content, min_size=(2 * height, 2 * width))
    assert reduced.reduction == 2
    full, fast = classifier.classify(content), classifier.classify(content, fast_decode=True)
    assert fast.predictions == classifier.classify(reduced).predictions
    assert full.predictions == classifier.classify(mpscnn.open_photo(content)).predictions
    assert fast.predictions != full.predictions
    assert fast[0].label == full[0].label
    assert classifier.predict(content, fast_decode=True).predictions == fast.predictions


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("tensorflow", (128, 128)),
        ("torchvision", (147, 147)),  # 64 / 0.875, twice
        ({"crop_fraction": 0.5}, (256, 256)),
        ({"filter": "bicubic_antialias"}, (128, 128)),
        ({"filter": "bilinear"}, None),
        ({"filter": "nearest"}, None),
    ],
)
def test_fast_decode_keeps_what_the_settings_need(settings: Any, expected: Any) -> None:
    model = mpscnn.load(device="cpu", preprocess=settings)
    assert decoded_size(model) == expected


def test_fast_decode_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(jpeg(cat()))
    lines = []
    for options in ([], ["--fast-decode"]):
        assert call("classify", str(path), "--json", "--device", "cpu", *options) == 0
        lines.append(json.loads(capsys.readouterr().out))
    fast = mpscnn.load(device="cpu").classify(path, top=5, fast_decode=True)
    assert lines[1]["predictions"] != lines[0]["predictions"]
    assert lines[1]["predictions"][0]["probability"] == pytest.approx(fast[0].probability, abs=1e-4)
    assert call("classify", "clip.mp4", "--fast-decode") == 2
    assert "--fast-decode" in capsys.readouterr().err
