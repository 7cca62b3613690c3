"""Test that the pixels of Pillow's images are read where they lie, with the same results as copies of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mpscnn

RANDOM = np.random.default_rng(81)
#: The modes whose pixels Pillow stores as the core reads them, with the format and the channels of a photo.
IN_PLACE = {"L": ("gray8", ()), "RGB": ("rgb8", (3,)), "RGBA": ("rgba8", (4,))}
SETTINGS: list[Any] = [
    "tensorflow",
    "torchvision",
    "caffe",
    {"filter": "bicubic_antialias", "fit": "letterbox"},
]


def image(mode: str, width: int = 67, height: int = 45) -> Image.Image:
    noise = RANDOM.integers(0, 256, 4_999, np.uint8)
    return Image.fromarray(np.resize(noise, (height, width, *IN_PLACE[mode][1])))


def png(picture: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    picture.save(stream, "PNG", exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize("mode", IN_PLACE)
@pytest.mark.parametrize("orientation", [1, 6])
def test_inputs_have_the_bits_of_those_of_copied_pixels(mode: str, orientation: int) -> None:
    picture = image(mode)
    for photo in (
        mpscnn.open_photo(png(picture, orientation)),
        mpscnn.open_photo(picture, orientation=orientation),
    ):
        copied = mpscnn.open_photo(np.array(picture), orientation=orientation)
        assert not photo.pixels.flags.owndata
        assert photo.format == copied.format == IN_PLACE[mode][0]
        np.testing.assert_array_equal(photo.pixels, copied.pixels)
        np.testing.assert_array_equal(photo, copied)
        for settings in SETTINGS:
            for size in ((31, 22), (45, 67), (90, 101)):
                given, expected = (mpscnn.preprocess(one, size, settings) for one in (photo, copied))
                assert given.tobytes() == expected.tobytes()


def test_the_pixels_of_an_image_are_those_that_its_owner_writes_but_cannot_be_written() -> None:
    picture = image("RGB")
    photo = mpscnn.open_photo(picture)
    kept = photo.unchanging()
    before = photo.pixels.copy()
    picture.putpixel((0, 0), (1, 2, 3))
    assert photo.pixels[0, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(kept.pixels, before)
    with pytest.raises(ValueError, match="read-only"):
        photo.pixels[0, 0] = 0


def test_pixels_outlive_their_image() -> None:
    picture = image("RGB", 640, 480)
    expected = np.array(picture)
    photo = mpscnn.open_photo(png(picture))
    del picture
    np.testing.assert_array_equal(photo.pixels, expected)


def test_parts_of_pixels_in_place_are_prepared_like_copies() -> None:
    from dataclasses import replace

    photo = mpscnn.open_photo(png(image("RGB")))
    for part in (photo.pixels[5:30], photo.pixels[:, 1:], photo.pixels[:, ::-1], photo.pixels[:1, :1]):
        given = mpscnn.preprocess(replace(photo, pixels=part), 16)
        assert given.tobytes() == mpscnn.preprocess(np.array(part), 16).tobytes()


@pytest.mark.parametrize("mode", IN_PLACE)
def test_an_image_of_several_blocks_of_memory(mode: str) -> None:
    """Pillow stores images of more than 16 MB in several blocks."""
    picture = image(mode, 4300, 4300 if mode == "L" else 1000)
    photo = mpscnn.open_photo(picture)
    np.testing.assert_array_equal(photo.pixels, np.array(picture))
    expected = mpscnn.preprocess(np.array(picture), 32)
    assert mpscnn.preprocess(photo, 32).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_large_files_are_decoded_into_one_array(name: str, mode: str) -> None:
    if name == "JPEG" and mode == "RGBA":
        pytest.skip("JPEG has no alpha")
    stream = io.BytesIO()
    image(mode, 2100, 600).save(stream, name, quality=80, method=0, compress_level=1)
    photo = mpscnn.open_photo(stream.getvalue())
    decoded = Image.open(stream)
    assert decoded.mode == photo.format[:-1].upper().replace("GRAY", "L")
    assert photo.pixels.strides[1] == (1 if decoded.mode == "L" else 4)  # as Pillow stores them
    np.testing.assert_array_equal(photo.pixels, np.array(decoded))
    expected = mpscnn.preprocess(np.array(decoded), 32)
    assert mpscnn.preprocess(photo, 32).tobytes() == expected.tobytes()
