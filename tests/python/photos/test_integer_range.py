"""Test photos whose numbers have another range than their type: 8, 10 and 12 bits in uint16, pixels as floats."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import PIL.Image
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.photo_sources import input_array

TYPES = (np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, ">u2", np.int8)


def scene(highest: int, shape: tuple[int, ...] = (6, 8, 3)) -> NDArray[np.int64]:
    found = np.random.default_rng(0).integers(0, highest + 1, shape)
    found.flat[0] = highest
    return found


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1), (6, 8, 3), (6, 8, 4)])
def test_eight_bits_in_another_integer_type_are_refused_or_said(dtype: Any, shape: tuple[int, ...]) -> None:
    pixels = scene(min(255, np.iinfo(dtype).max), shape)
    with pytest.raises(mpscnn.ImageError, match=r"numpy.uint8\).*bits="):
        mpscnn.open_photo(pixels.astype(dtype))
    opened = mpscnn.open_photo(pixels.astype(dtype), bits=8)
    np.testing.assert_array_equal(opened.pixels, pixels)
    assert opened.format == mpscnn.open_photo(pixels.astype(np.uint8)).format


@pytest.mark.parametrize("dtype", TYPES[:-1])
@pytest.mark.parametrize("bits", [1, 4, 7, 9, 10, 12, 14, 15, 16])
def test_bits_give_the_range_of_integers(dtype: Any, bits: int) -> None:
    highest = min((1 << bits) - 1, np.iinfo(dtype).max)
    pixels = scene(highest)
    opened = mpscnn.open_photo(pixels.astype(dtype), bits=bits)
    exact = pixels * (65535 / ((1 << bits) - 1))
    assert opened.format == "rgb16"
    assert np.abs(opened.pixels - exact).max() <= 0.5
    found = mpscnn.preprocess(opened, (6, 8), "none")
    np.testing.assert_allclose(found[0], exact / 257, atol=2e-3)


@pytest.mark.parametrize(("highest", "bits"), [(256, 10), (1023, 10), (1024, 12), (4095, 12)])
def test_a_photo_of_uint16_that_is_nearly_black_warns(highest: int, bits: int) -> None:
    with pytest.warns(RuntimeWarning, match=f"no value above {highest}.*bits={bits}") as warned:
        opened = mpscnn.open_photo(scene(highest).astype(np.uint16))
    assert warned[0].filename == __file__
    assert opened.pixels.max() == highest


def test_photos_that_use_their_range_are_accepted(tmp_path: Path) -> None:
    assert mpscnn.open_photo(scene(4096).astype(np.uint16)).format == "rgb16"
    assert not mpscnn.open_photo(np.zeros((4, 5), np.uint16)).pixels.any()  # a covered lens
    np.save(tmp_path / "a.npy", scene(255).astype(np.uint16))
    with pytest.raises(mpscnn.ImageError, match=r"a\.npy: array .* no value above 255"):
        mpscnn.open_photo(tmp_path / "a.npy")


def png_of_16_bits(pixels: NDArray[np.int64]) -> bytes:
    """Return a PNG file of gray, RGB or RGBA with 16 bits, which Pillow cannot write."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def pillow_image(mode: str, pixels: NDArray[np.int64]) -> Any:
    dtype = {"I": "<i4", "I;16B": ">u2"}.get(mode, "<u2")
    height, width = pixels.shape
    return PIL.Image.frombytes(mode, (width, height), pixels.astype(dtype).tobytes())


PHOTOS_OF_16_BITS: dict[str, Callable[[NDArray[np.int64]], Any]] = {
    **{mode: partial(pillow_image, mode) for mode in ("I;16", "I;16B", "I;16L", "I")},
    "gray PNG": lambda gray: png_of_16_bits(gray[..., None]),
    "RGB PNG": lambda gray: png_of_16_bits(np.stack([gray] * 3, 2)),
    "RGBA PNG": lambda gray: png_of_16_bits(np.stack([gray] * 3 + [np.full_like(gray, 65535)], 2)),
    "RGBA array": lambda gray: np.stack([gray] * 3 + [np.full_like(gray, 65535)], 2).astype(np.uint16),
    "PPM": lambda gray: b"P5 8 6 65535\n" + gray.astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", PHOTOS_OF_16_BITS)
def test_eight_bits_in_files_and_images_of_16_bits_are_refused(tmp_path: Path, kind: str) -> None:
    """Programs save arrays of uint16 with 8-bit numbers as PNG. The photo would be black, so it is refused."""
    make = PHOTOS_OF_16_BITS[kind]
    photo = make(scene(255, (6, 8)))
    with pytest.raises(mpscnn.ImageError, match=r"no value above 255.*16"):
        mpscnn.open_photo(photo)
    if isinstance(photo, bytes):
        (tmp_path / "a.png").write_bytes(photo)
        with pytest.raises(mpscnn.ImageError, match=r"a\.png: has no value above 255"):
            mpscnn.open_photo(tmp_path / "a.png")
    assert mpscnn.open_photo(make(scene(65535, (6, 8)))).pixels.max() == 65535
    black = mpscnn.open_photo(make(np.zeros((6, 8), np.int64))).pixels
    assert not black[..., : 1 if black.ndim == 2 else 3].any()


@pytest.mark.parametrize(
    ("photo", "bits", "error", "message"),
    [
        (scene(1024), 10, mpscnn.ImageError, "values from . to 1024; bits=10 means 0 to 1023"),
        (scene(255) - 1, 8, mpscnn.ImageError, "values from -1"),
        (scene(255) / 255, 8, mpscnn.ImageError, "bits=8 is for integers"),
        (scene(255), 17, mpscnn.ParameterError, "bits must be"),
        (b"file", 8, mpscnn.ParameterError, "bits is for arrays"),
        ("a.png", 8, mpscnn.ParameterError, "bits is for arrays"),
    ],
)
def test_bits_that_do_not_fit(photo: Any, bits: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mpscnn.open_photo(photo, bits=bits)


PIXELS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "whole": lambda x: x,
    "resized": lambda x: x * np.float32(0.99) + np.float32(0.3),
    "bicubic": lambda x: x * np.float32(1.04) - 5,
    "halves": lambda x: x.astype(np.float16),
}


@pytest.mark.parametrize("kind", PIXELS)
def test_floats_that_are_pixels_are_refused_wherever_floats_are_inputs(tmp_path: Path, kind: str) -> None:
    model = photo_models.load(tmp_path, "classification")
    assert model.network.preprocess is not None
    height, width, channels = model.network.input.shape[1:]
    pixels = PIXELS[kind](scene(255, (2, height, width, channels)).astype(np.float32))
    extractor = model.features([next(iter(model.program.outputs))])
    trainer = mpscnn.Trainer(model.network)
    with mpscnn.Runner(extractor) as runner:
        for use in (
            extractor.run,
            lambda x: runner.submit(x).result(),
            lambda x: trainer.step(x, np.zeros(2, np.int64)),
            lambda x: input_array("quantize", model.network, model.network.input.shape, x),
        ):
            with pytest.raises(mpscnn.ImageError, match=r"which are pixels|not preprocessed"):
                use(pixels)
    inputs = mpscnn.preprocess(scene(255, (height, width, channels)).astype(np.uint8), (height, width))
    noise = np.random.default_rng(0).normal(0, 3, inputs.shape).astype(np.float32)
    for right in (inputs, noise, np.abs(noise)):
        extractor.run(right)
