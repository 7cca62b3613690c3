"""Compare photos of all kinds, whole and damaged, with Pillow's own conversions."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_files import encoded, png
from PIL import Image

import mpscnn
from mpscnn import ImageError
from mpscnn.vision.photo import open_photo

ORIENTATION = 0x0112


def scene(height: int = 6, width: int = 9) -> np.ndarray[Any, Any]:
    """Return RGB pixels that differ in every row, column and channel."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 40 % 256, columns * 27 % 256, (rows * 7 + columns * 11) % 256], axis=-1).astype(
        np.uint8
    )


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


# ---- Bad photos: each is refused with a message that names it ----------------------------------------------------


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("This is not a photo.\n" * 100)


def _cut_jpeg(path: Path) -> None:
    content = encoded(Image.fromarray(scene(200, 300)), "JPEG")
    path.write_bytes(content[: len(content) // 2])


def _cut_png(path: Path) -> None:
    content = encoded(Image.fromarray(scene(200, 300)), "PNG")
    path.write_bytes(content[: len(content) // 2])


def _cut_header(path: Path) -> None:
    path.write_bytes(encoded(Image.fromarray(scene()), "PNG")[:20])


def _changed_byte(path: Path) -> None:
    content = bytearray(encoded(Image.fromarray(scene(200, 300)), "PNG"))
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _bomb(path: Path) -> None:
    path.write_bytes(png(20_000, 20_000))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


BAD: list[tuple[Callable[[Path], Any], str]] = [
    (lambda path: None, "No such file or directory"),
    (_empty, "is empty"),
    (_text, "is not an image that Pillow can read"),
    (
        lambda path: path.write_bytes(base64.b64encode(encoded(Image.fromarray(scene()), "PNG"))),
        "is base64 text",
    ),
    (lambda path: path.write_bytes(b'{"image": ""}'), "Content-Type: application/json"),
    (_cut_jpeg, "is damaged or cut off"),
    (_cut_png, "is damaged or cut off"),
    (_cut_header, "is"),
    (_changed_byte, "is damaged or cut off"),
    (_bomb, "20000 x 20000 pixels are more than the 200 million allowed"),
    (Path.mkdir, "is a directory, not a photo"),
    (_pipe, "is not a regular file"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_photos_are_named(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "holiday.v2.jpg"
    make(path)
    with pytest.raises(ImageError) as caught:
        open_photo(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    with pytest.raises(ImageError, match="more than the 200 million"):
        open_photo(png(20_000, 20_000))


def test_the_largest_cameras_are_within_the_limit() -> None:
    # The image is as large as those of a telephone's 200 megapixel mode, above Pillow's own limit. The file has only
    # the header.
    with pytest.raises(ImageError, match="is damaged or cut off"):
        open_photo(png(16_320, 12_240, depth=1, color=0))
    with pytest.raises(ImageError, match="more than the 200 million"):
        open_photo(png(16_320, 12_260, depth=1, color=0))


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", exhausted)
    with pytest.raises(ImageError, match="not enough memory for its 3 x 2 pixels"):
        open_photo(png(3, 2))


# ---- Files that Pillow reads -------------------------------------------------------------------------------------


def test_integer_pixels() -> None:
    values = (np.arange(54, dtype=np.int32) * 1213).reshape(6, 9)
    opened = open_photo(Image.fromarray(values))
    assert opened.format == "gray16"
    np.testing.assert_array_equal(opened.pixels, values)
    with pytest.raises(ImageError, match="Pillow image: has integer pixels from 0 to 70000"):
        open_photo(Image.fromarray(values * 0 + np.int32([[0] * 8 + [70000]])))
    assert not open_photo(Image.fromarray(values * 0)).pixels.any()
    with pytest.raises(ImageError, match=r"has no value above 200, .*give an array of uint8"):
        open_photo(Image.fromarray(scene()[..., 0] // 4 * 4).convert("I"))


@pytest.mark.parametrize("low", [0, -1])
def test_images_of_floats_to_one_are_refused(tmp_path: Path, low: float) -> None:
    """Photos of floats up to 1 would become black, because Pillow's floats range to 255. Others may use any range."""
    path = tmp_path / "floats.tiff"
    values = np.linspace(low, 1, 54, dtype=np.float32).reshape(6, 9)
    Image.fromarray(values).save(path)
    for photo in (path, path.read_bytes(), Image.open(path), Image.fromarray(values)):
        with pytest.raises(ImageError, match=rf"has floats from {low} to 1 \(Pillow's mode F\)"):
            open_photo(photo)
    for readable in (values * 255, np.zeros_like(values)):
        Image.fromarray(readable).save(path)
        np.testing.assert_array_equal(open_photo(path).pixels, readable / np.float32(255))


def test_bytes_and_file_objects(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(scene()), "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    for given_as in (content, bytearray(content), memoryview(content), io.BytesIO(content), path, str(path)):
        np.testing.assert_array_equal(open_photo(given_as).pixels, scene())
    with path.open("rb") as file:
        opened = open_photo(file)
    assert opened.name == str(path)
    np.testing.assert_array_equal(opened.pixels, scene())
    with pytest.raises(ImageError, match="binary mode"):
        open_photo(io.StringIO("text"))
    with pytest.raises(ImageError, match="closed file"):
        open_photo(file)


# ---- EXIF orientation --------------------------------------------------------------------------------------------


TURNED: dict[
    int, Callable[[Any], Any]
] = {  # by EXIF 2.32, table 6: the side at which row 0 and column 0 are displayed
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_orientation(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / f"turned.{kind.lower()}"
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(scene()).save(path, kind, exif=exif_with(orientation), **options)
    expected = TURNED[orientation](scene())
    seen = mpscnn.preprocess(path, expected.shape[:2], "none")
    np.testing.assert_array_equal(seen[0], expected)
    with Image.open(path) as image:
        again = mpscnn.preprocess(image, expected.shape[:2], "none")
    np.testing.assert_array_equal(again, seen)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_undefined_orientations_count_as_none(orientation: int) -> None:
    content = encoded(Image.fromarray(scene()), "PNG", exif=exif_with(orientation))
    assert open_photo(content).orientation == 1


def test_jpeg_orientation_is_the_cores_to_apply() -> None:
    opened = open_photo(encoded(Image.fromarray(scene()), "JPEG", exif=exif_with(6)))
    assert opened.orientation == 6
    assert opened.pixels.shape == (6, 9, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_counts_as_absent() -> None:
    for damage in (
        b"Exif\0\0",
        b"Exif\0\0garbage that is not a TIFF header",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
    ):
        opened = open_photo(encoded(Image.fromarray(scene()), "JPEG", exif=damage))
        assert opened.orientation == 1


# ---- Arrays ------------------------------------------------------------------------------------------------------

ARRAYS = [
    (np.uint8, (), "gray8"),
    (np.uint8, (1,), "gray8"),
    (np.uint8, (2,), "gray_alpha8"),
    (np.uint8, (3,), "rgb8"),
    (np.uint8, (4,), "rgba8"),
    (np.uint16, (), "gray16"),
    (np.uint16, (3,), "rgb16"),
    (np.uint16, (4,), "rgba16"),
    (">u2", (3,), "rgb16"),
    (np.float16, (3,), "rgb32f"),
    (np.float32, (), "gray32f"),
    (np.float32, (4,), "rgba32f"),
    (">f4", (3,), "rgb32f"),
    (np.float64, (3,), "rgb32f"),
]


@pytest.mark.parametrize(("dtype", "channels", "pixel_format"), ARRAYS)
def test_arrays(dtype: Any, channels: tuple[int, ...], pixel_format: str) -> None:
    step = (
        800 if np.dtype(dtype).kind == "u" and np.dtype(dtype).itemsize == 2 else 1
    )  # use the range of uint16
    values = step * np.arange(4 * 5 * 4).reshape(4, 5, 4)[..., : channels[0] if channels else 1]
    array = values.reshape(4, 5, *channels).astype(dtype)
    if array.dtype.kind == "f":
        array /= 80
    opened = open_photo(array)
    assert opened.format == pixel_format
    assert opened.pixels.dtype.isnative
    np.testing.assert_array_equal(opened.pixels, array.astype(opened.pixels.dtype))


def test_views_of_memory_are_arrays_or_files() -> None:
    array = scene()
    np.testing.assert_array_equal(open_photo(memoryview(array)).pixels, array)  # type: ignore[arg-type]
    assert open_photo(memoryview(array), channel_order="bgr").format == "bgr8"  # type: ignore[arg-type]
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    np.testing.assert_array_equal(open_photo(memoryview(content.getvalue())).pixels, array)


def test_arrays_are_not_copied_without_need() -> None:
    array = scene()
    assert np.shares_memory(open_photo(array).pixels, array)
    strided = open_photo(array[::2, ::-1]).pixels
    assert strided.flags.c_contiguous
    np.testing.assert_array_equal(strided, array[::2, ::-1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((4, 5, 3), np.int32), r"array \(4, 5, 3\) int32: expected uint8"),
        (np.zeros((4, 5, 3), bool), "bool: expected uint8"),
        (np.zeros((4, 5, 5), np.uint8), r"\(4, 5, 5\) uint8: expected uint8 with 1 to 4 channels"),
        (np.zeros((4, 5, 2), np.uint16), "uint16: expected"),
        (
            np.zeros((3, 40, 50), np.float32),
            r"channels come last: numpy.asarray\(array\).transpose\(1, 2, 0\)",
        ),
        (np.zeros((1, 4, 5, 3), np.uint8), r"shape \(height, width\) or .*several photos give a list"),
        (np.zeros(7, np.uint8), r"shape \(height, width\) or"),
        (np.zeros((0, 5, 3), np.uint8), r"array \(0, 5, 3\) uint8: has no pixels"),
        (np.zeros((4, 5, 0), np.uint8), r"array \(4, 5, 0\) uint8: has no pixels"),
        (np.zeros((4, 5), complex), r"array \(4, 5\) complex128: expected integers of 8 or 16 bits"),
        (np.array([["a"]]), r"array \(1, 1\) <U1: expected integers"),
        (None, "NoneType is not a photo"),
        ({"image": 1}, "dict is not a photo"),
    ],
)
def test_refused_arrays(value: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_photo(value)


def test_opened_photos_pass_through() -> None:
    opened = open_photo(scene())
    assert open_photo(opened) is opened
