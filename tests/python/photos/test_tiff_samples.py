"""The samples of TIFF files: the network's input is what the format defines, or the file is refused."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from photo_samples import HEIGHT, WIDTH, assert_input, rgb_of_ycbcr
from PIL import TiffImagePlugin

from mpscnn import ImageError
from mpscnn.vision.photo import open_photo

CHANNELS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}


def tiff_of(
    numbers: np.ndarray[Any, Any],
    *,
    bits: int,
    photometric: int,
    order: str = "<",
    extra: int | None = None,
    deflated: bool = False,
    planar: bool = False,
    sample_format: int = 1,
    strips: int = 1,
    further: dict[int, tuple[int, ...]] | None = None,
) -> bytes:
    """Return a TIFF file of whole numbers (height, width, samples), in strips of rows.

    `extra`: the meaning of the extra sample; None: there is none. `planar`: each sample has its own strips.
    `sample_format`: 1 for unsigned integers, 2 for signed ones, 3 for floats. `further`: additional or changed tags.
    """
    height, width, samples = numbers.shape
    rows = -(-height // strips)
    parts = []
    for plane in np.moveaxis(numbers, -1, 0)[..., None] if planar else [numbers]:
        for top in range(0, height, rows):
            strip = plane[top : top + rows]
            if sample_format == 3:
                data = strip.astype(f"{order}f4").tobytes()
            elif bits >= 8 and bits % 8 == 0:
                kind = "i" if sample_format == 2 else "u"
                data = strip.astype(f"{order}{kind}{bits // 8}").tobytes()
            else:
                spread = strip.reshape(len(strip), -1)[..., None] >> np.arange(bits - 1, -1, -1) & 1
                data = np.packbits(spread.reshape(len(strip), -1).astype(np.uint8), axis=1).tobytes()
            parts.append(zlib.compress(data) if deflated else data)
    tags: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (bits,) * samples,
        259: (8 if deflated else 1,),
        262: (photometric,),
        277: (samples,),
        278: (rows,),
        279: tuple(len(part) for part in parts),
        284: (2 if planar else 1,),
        339: (sample_format,) * samples,
        **({} if extra is None else {338: (extra,)}),
        **(further or {}),
    }
    offset = 8
    offsets = []
    for part in parts:
        offsets.append(offset)
        offset += len(part)
    tags[273] = tuple(offsets)
    entries, values = b"", b""
    after = offset + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        kind, letter = (4, "I") if tag in (273, 279) else (3, "H")
        packed = struct.pack(f"{order}{len(value)}{letter}", *value)
        if len(packed) > 4:
            place = struct.pack(f"{order}I", after + len(values))
            values += packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, kind, len(value)) + place
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, offset)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return header + b"".join(parts) + directory + values


def random_numbers(samples: int, bits: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(bits + samples).integers(0, 2**bits, (HEIGHT, WIDTH, samples))


def numbers_of(bits: int, photometric: int, extra: int | None) -> np.ndarray[Any, Any]:
    """Return random samples. Premultiplied colours are at most alpha."""
    numbers = random_numbers(CHANNELS[photometric] + (extra is not None), bits)
    if extra == 1:
        numbers[..., :-1] = numbers[..., :-1] * numbers[..., -1:] // (2**bits - 1)
    return numbers


def assert_unknown(content: bytes) -> None:
    with pytest.raises(ImageError, match="is not an image that Pillow can read"):
        open_photo(content)


def meaning(
    numbers: np.ndarray[Any, Any], bits: int, photometric: int, extra: int | None
) -> np.ndarray[Any, Any]:
    """Return RGB or gray from 0 to 255, composited over white, by TIFF 6.0, sections 4, 16 and 18."""
    values = numbers / (2**bits - 1)
    colors = values[..., : CHANNELS[photometric]]
    if photometric == 0:
        colors = 1 - colors
    elif photometric == 5:
        colors = (1 - colors[..., :3]) * (1 - colors[..., 3:])
    if extra in (1, 2):
        alpha = values[..., CHANNELS[photometric] :][..., :1]
        colors = (colors if extra == 1 else colors * alpha) + 1 - alpha
    whole = 255 * colors
    return whole[..., 0] if whole.shape[-1] == 1 else whole


def pillow_knows(bits: int, photometric: int, extra: int | None, order: str) -> bool:
    """Return True if this version of Pillow reads samples with these settings."""
    samples = CHANNELS[photometric] + (extra is not None)
    prefix = b"II" if order == "<" else b"MM"
    key = prefix, photometric, (1,), 1, (bits,) * samples, () if extra is None else (extra,)
    return key in TiffImagePlugin.OPEN_INFO


# Bits, photometric interpretation, and extra sample (0 unspecified, 1 premultiplied alpha, 2 alpha).
TIFFS = [
    *((bits, photometric, None) for bits in (1, 2, 4, 8, 16) for photometric in (0, 1)),
    (12, 1, None),
    *((8, 1, extra) for extra in (0, 1, 2)),
    *((bits, 2, extra) for bits in (8, 16) for extra in (None, 0, 1, 2)),
    (8, 5, None),
    (16, 5, None),
]


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "photometric", "extra"), TIFFS)
def test_tiff(bits: int, photometric: int, extra: int | None, order: str, deflated: bool) -> None:
    numbers = numbers_of(bits, photometric, extra)
    for strips in (1, 3):
        content = tiff_of(
            numbers,
            bits=bits,
            photometric=photometric,
            order=order,
            extra=extra,
            deflated=deflated,
            strips=strips,
        )
        if not pillow_knows(bits, photometric, extra, order):
            assert_unknown(content)
            continue
        # Pillow mixes 8-bit inks with 8-bit arithmetic.
        tolerance = 0.51 if (bits, photometric) == (8, 5) else 2e-4
        assert_input(content, meaning(numbers, bits, photometric, extra), tolerance)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("photometric", "extra"), [(2, None), (2, 0), (2, 1), (2, 2), (5, None)])
def test_tiff_in_planes(bits: int, photometric: int, extra: int | None, order: str, deflated: bool) -> None:
    numbers = numbers_of(bits, photometric, extra)
    content = tiff_of(
        numbers,
        bits=bits,
        photometric=photometric,
        order=order,
        extra=extra,
        deflated=deflated,
        planar=True,
        strips=2,
    )
    if not pillow_knows(bits, photometric, extra, order):
        assert_unknown(content)
        return
    if bits == 16 and (deflated or photometric == 5):
        with pytest.raises(
            ImageError, match=r"16-bit samples in separate planes .* save it with interleaved"
        ):
            open_photo(content)
        return
    if extra == 0 and not deflated:
        # Some versions of Pillow refuse planes without a meaning.
        try:
            open_photo(content)
        except ImageError:
            return
    tolerance = 2e-4
    if bits == 8 and photometric == 5:
        tolerance = 0.51  # Pillow mixes 8-bit inks with 8-bit arithmetic
    elif bits == 8 and extra == 1 and deflated:
        tolerance = 1.0  # Pillow also divides by alpha in 8 bits
    assert_input(content, meaning(numbers, bits, photometric, extra), tolerance)


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_with_a_sign(bits: int) -> None:
    numbers = random_numbers(1, bits) // 2
    content = tiff_of(numbers, bits=bits, photometric=1, sample_format=2)
    assert_input(content, meaning(numbers, bits, 1, None))
    numbers[2, 3] = -5
    with pytest.raises(ImageError, match="has integer pixels from -5"):
        open_photo(tiff_of(numbers, bits=bits, photometric=1, sample_format=2))


def test_tiff_of_floats() -> None:
    numbers = random_numbers(1, 8)
    assert_input(tiff_of(numbers, bits=32, photometric=1, sample_format=3), numbers[..., 0].astype(float))
    with pytest.raises(ImageError, match="floats of which zero is white"):
        open_photo(tiff_of(numbers, bits=32, photometric=0, sample_format=3))


@pytest.mark.skipif(
    TiffImagePlugin.OPEN_INFO[b"II", 6, (1,), 1, (8, 8, 8), ()][0] != "YCbCr",
    reason="this Pillow takes all YCbCr samples for compressed ones",
)
def test_tiff_of_luma_and_chroma() -> None:
    numbers = random_numbers(3, 8)
    whole = tiff_of(numbers, bits=8, photometric=6, further={530: (1, 1)})
    assert_input(whole, rgb_of_ycbcr(numbers), 1.01)
    for further in ({}, {530: (2, 1)}, {530: (2, 2)}):
        with pytest.raises(ImageError, match="subsampled YCbCr"):
            open_photo(tiff_of(numbers, bits=8, photometric=6, further=further))
