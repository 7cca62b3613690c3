"""The samples of photo files of every kind but TIFF: the network's input is what the format defines.

Formats that Pillow decodes without code of mpscnn are tested as Pillow's images.

The expected values are from the tests' own PNG decoder. For other formats they are the numbers that were written.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from photo_files import PNG_SIGNATURE, png_chunk
from photo_samples import HEIGHT, WIDTH, assert_input, network_input, rgb_of_ycbcr
from PIL import Image
from png_decoder import ADAM7, SAMPLES, decoded, on_white

from mpscnn import ImageError
from mpscnn.vision.photo import open_photo

# ---- PNG -----------------------------------------------------------------------------------------------------------

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def _packed(numbers: np.ndarray[Any, Any], depth: int) -> bytes:
    """Return packed rows of whole numbers (rows, columns, samples). The rows use the five PNG filters in turn."""
    rows = []
    for line in numbers.reshape(len(numbers), -1):
        if depth == 16:
            rows.append(line.astype(">u2").tobytes())
        else:
            bits = (line[:, None] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8)
            rows.append(np.packbits(bits.reshape(-1)).tobytes())
    return b"".join(bytes([index % 5]) + row for index, row in enumerate(rows))


def png_of(depth: int, color: int, *, interlaced: bool = False, transparency: bytes | None = None) -> bytes:
    """Return a PNG of random bytes, which are pixels whatever the filter is."""
    rng = np.random.default_rng(depth * 10 + color)
    count = SAMPLES[color]
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, interlaced)
    data = b""
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = len(range(left, WIDTH, across)), len(range(top, HEIGHT, down))
        if columns and rows:
            # There are only two numbers, so many pixels have the transparent colour.
            few = rng.integers(0, 2**depth, 2)
            data += _packed(few[rng.integers(0, 2, (rows, columns, count))], depth)
    chunks = [png_chunk(b"IHDR", header)]
    if color == 3:
        chunks.append(png_chunk(b"PLTE", rng.integers(0, 256, 3 * 2**depth, np.uint8).tobytes()))
    if transparency is not None:
        chunks.append(png_chunk(b"tRNS", transparency))
    chunks.append(png_chunk(b"IDAT", zlib.compress(data)))
    return PNG_SIGNATURE + b"".join(chunks) + png_chunk(b"IEND", b"")


def transparencies(depth: int, color: int) -> list[bytes | None]:
    """Return contents for a PNG's tRNS chunk; None: no chunk.

    For gray and RGB they are a colour of the image, other colours, and one with too many bits. For palettes (`color` 3)
    they are alpha values.
    """
    if color in (4, 6):
        return [None]
    if color == 3:
        return [None, b"\0", b"\x80", bytes(range(0, 256, 16))[: 2**depth], b"\xff" * (2**depth - 1) + b"\0"]
    rgb = color == 2
    opaque = on_white(decoded(png_of(depth, color))) / 255 * (2**depth - 1)
    first = np.rint(opaque[3, 4] if rgb else opaque[3, 4, :1]).astype(">u2")
    given = [None, first.tobytes(), np.zeros_like(first).tobytes(), (first ^ 1).astype(">u2").tobytes()]
    if depth < 16:
        given.append((first | 1 << depth).astype(">u2").tobytes())
    return given


PNGS = [
    (depth, color, interlaced, transparency)
    for color, depths in DEPTHS.items()
    for depth in depths
    for interlaced in (False, True)
    for transparency in transparencies(depth, color)
]


@pytest.mark.parametrize(("depth", "color", "interlaced", "transparency"), PNGS)
def test_png(depth: int, color: int, interlaced: bool, transparency: bytes | None) -> None:
    content = png_of(depth, color, interlaced=interlaced, transparency=transparency)
    expected = on_white(decoded(content))
    assert_input(content, expected)
    assert_input(Image.open(io.BytesIO(content)), expected)


def test_an_opened_pillow_image_stays_as_it_was() -> None:
    content = png_of(16, 2, transparency=bytes(6))
    with Image.open(io.BytesIO(content)) as image:
        before = (image.mode, image.info["transparency"], image.tile[0])
        first = network_input(image)
        assert (image.mode, image.info["transparency"], image.tile[0]) == before
        np.testing.assert_array_equal(network_input(image), first)
        image.load()
        assert image.size == (WIDTH, HEIGHT)


def test_colours_that_pillow_has_cut_are_not_compared_with_whole_ones() -> None:
    """A decoded image does not tell which pixels had the transparent colour."""
    with Image.open(io.BytesIO(png_of(16, 2, transparency=struct.pack(">3H", 1000, 2, 3)))) as image:
        image.load()
        with pytest.raises(ImageError, match=r"transparent colour \(1000, 2, 3\) has 16: give the file"):
            open_photo(image)


@pytest.mark.parametrize("color", [0, 2, 4, 6])
def test_deep_png_files_that_are_cut_off(color: int) -> None:
    content = png_of(16, color)
    data = content.index(b"IDAT") + 4
    for end in range(data, len(content) - 17, 9):
        with pytest.raises(ImageError, match="is damaged or cut off"):
            open_photo(content[:end])


def test_a_file_that_changes_between_the_passes_is_refused() -> None:
    class Changing(io.BytesIO):
        beginnings = 0

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 0:
                self.beginnings += 1
            content = super().read(size)
            return content if self.beginnings <= 2 else b"other" + content[5:]

    from mpscnn.vision.photo_samples import read_samples

    content = png_of(16, 2)
    with pytest.raises(ImageError, match="changes while it is read"):
        read_samples(Changing(content), len(content), 1000)


# ---- PPM -----------------------------------------------------------------------------------------------------------

MAXIMA = [1, 3, 5, 31, 100, 254, 255, 256, 1000, 4095, 65534, 65535]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("maximum", MAXIMA)
def test_ppm(maximum: int, channels: int, plain: bool) -> None:
    numbers = np.random.default_rng(maximum).integers(0, maximum + 1, (HEIGHT, WIDTH, channels))
    numbers.flat[:2] = 0, maximum
    kind = {(1, True): 2, (3, True): 3, (1, False): 5, (3, False): 6}[channels, plain]
    header = f"P{kind}\n# made by a test\n{WIDTH} {HEIGHT}\n{maximum}\n".encode()
    if plain:
        data = " ".join(map(str, numbers.ravel())).encode()
    else:
        data = numbers.astype(">u2" if maximum > 255 else "u1").tobytes()
    expected = 255 * numbers / maximum
    assert_input(header + data, expected[..., 0] if channels == 1 else expected)
    assert_input(Image.open(io.BytesIO(header + data)), expected[..., 0] if channels == 1 else expected)
    for cut in (data[: len(data) // 2], data[: data.rindex(b" ")] if plain else data[:-1]):
        with pytest.raises(ImageError, match="is damaged or cut off"):
            open_photo(header + cut)


@pytest.mark.parametrize("plain", [False, True])
def test_bitmaps(plain: bool) -> None:
    black = np.random.default_rng(2).integers(0, 2, (HEIGHT, WIDTH), np.uint8)
    data = (
        b"\n".join(b" ".join(b"%d" % x for x in row) for row in black)
        if plain
        else np.packbits(black, 1).tobytes()
    )
    assert_input(b"P%d %d %d\n" % (1 if plain else 4, WIDTH, HEIGHT) + data, 255.0 * (1 - black))


def test_samples_beyond_the_header() -> None:
    """Samples above the header's maximum are treated as in Pillow: limited in binary files, errors in text files."""
    assert_input(b"P6 1 1 100\n" + bytes([50, 100, 200]), np.array([[[127.5, 255, 255]]]))
    with pytest.raises(ImageError, match="has the sample 200, its header allows up to 100"):
        open_photo(b"P3 1 1 100\n50 100 200\n")


# ---- BMP -----------------------------------------------------------------------------------------------------------


def bmp_of(rows: list[bytes], bits: int, masks: tuple[int, ...] = ()) -> bytes:
    """Return a BMP file with a BITMAPINFOHEADER and masks after it. The rows are stored from the bottom up."""
    packed = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in reversed(rows))
    compression = 3 if masks else 0
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, bits, compression, len(packed), 0, 0, 0, 0)
    info += struct.pack(f"<{len(masks)}I", *masks)
    offset = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", offset + len(packed), 0, 0, offset) + info + packed


@pytest.mark.parametrize(
    ("masks", "fields"),
    [
        ((), ((10, 31), (5, 31), (0, 31))),
        ((0x7C00, 0x3E0, 0x1F), ((10, 31), (5, 31), (0, 31))),
        ((0xF800, 0x7E0, 0x1F), ((11, 31), (5, 63), (0, 31))),
    ],
)
def test_bmp_of_sixteen_bits(masks: tuple[int, ...], fields: tuple[tuple[int, int], ...]) -> None:
    words = np.random.default_rng(4).integers(0, 65536, (HEIGHT, WIDTH))
    content = bmp_of([row.astype("<u2").tobytes() for row in words], 16, masks)
    assert_input(
        content, np.stack([255 * (words >> shift & maximum) / maximum for shift, maximum in fields], -1)
    )


# ---- Pillow's images -----------------------------------------------------------------------------------------------


def _pillow_cases() -> dict[str, tuple[Image.Image, np.ndarray[Any, Any], float]]:
    rng = np.random.default_rng(8)
    shape = (HEIGHT, WIDTH)
    gray, alpha = (rng.integers(0, 256, shape, np.uint8) for _ in range(2))
    rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
    inks = rng.integers(0, 256, (*shape, 4), np.uint8)
    deep = rng.integers(0, 65536, shape, np.uint16)
    palette = rng.integers(0, 256, (256, 3), np.uint8)
    indexed = Image.fromarray(gray)
    indexed.putpalette(palette.tobytes())
    with_alpha = Image.merge("LA", (Image.fromarray(gray), Image.fromarray(alpha)))
    multiplied = (rgb * (alpha[..., None] / 255)).astype(np.uint8)
    a = alpha / 255
    cases = {
        "1": (Image.fromarray(gray > 99), 255.0 * (gray > 99), 0),
        "L": (Image.fromarray(gray), gray * 1.0, 0),
        "LA": (with_alpha, gray * a + 255 * (1 - a), 2e-4),
        "P": (indexed, palette[gray] * 1.0, 0),
        "RGB": (Image.fromarray(rgb), rgb * 1.0, 0),
        "RGBA": (Image.fromarray(np.dstack([rgb, alpha])), on_white(np.dstack([rgb, alpha]) / 255), 2e-4),
        "RGBX": (Image.fromarray(rgb).convert("RGBX"), rgb * 1.0, 0),
        "RGBa": (
            Image.frombytes("RGBa", (WIDTH, HEIGHT), np.dstack([multiplied, alpha]).tobytes()),
            multiplied + 255.0 - alpha[..., None],
            0,
        ),
        "La": (
            Image.frombytes("La", (WIDTH, HEIGHT), np.dstack([gray * a, alpha]).astype(np.uint8).tobytes()),
            (gray * a).astype(np.uint8) + 255.0 - alpha,
            0,
        ),
        "CMYK": (
            Image.frombytes("CMYK", (WIDTH, HEIGHT), inks.tobytes()),
            255 * (1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255),
            0.51,
        ),
        "YCbCr": (Image.frombytes("YCbCr", (WIDTH, HEIGHT), rgb.tobytes()), rgb_of_ycbcr(rgb), 1.01),
        "I": (Image.fromarray(deep.astype(np.int32)), deep / 257, 2e-4),
        "I;16": (Image.fromarray(deep), deep / 257, 2e-4),
        "I;16B": (Image.frombytes("I;16B", (WIDTH, HEIGHT), deep.astype(">u2").tobytes()), deep / 257, 2e-4),
        "F": (Image.fromarray(gray.astype(np.float32)), gray * 1.0, 2e-4),
    }
    for mode, color in (
        ("1", 255),
        ("L", int(gray[0, 0])),
        ("I;16", int(deep[0, 0])),
        ("I", int(deep[0, 0])),
    ):
        image, expected, tolerance = cases[mode]
        image = image.copy()
        image.info["transparency"] = color
        numbers = np.asarray(image).astype(int) * (255 if mode == "1" else 1)
        cases[f"{mode}, transparent"] = (image, np.where(numbers == color, 255, expected), tolerance)
    for name, value, of_index in (
        ("an index", 9, np.arange(256) != 9),
        ("bytes", bytes(alpha.ravel()), np.concatenate([alpha.ravel() / 255, np.ones(256 - alpha.size)])),
    ):
        image = indexed.copy()
        image.info["transparency"] = value
        rgba = np.dstack([palette[gray] / 255, of_index[gray]])
        cases[f"P, transparent by {name}"] = (image, on_white(rgba), 2e-4)
    image = Image.fromarray(rgb)
    image.info["transparency"] = tuple(rgb[1, 1].tolist())
    cases["RGB, transparent"] = (image, np.where((rgb == rgb[1, 1]).all(-1)[..., None], 255.0, rgb), 2e-4)
    return cases


PILLOW = _pillow_cases()


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("kind", PILLOW)
def test_pillow_images(kind: str) -> None:
    image, expected, tolerance = PILLOW[kind]
    assert_input(image, expected, tolerance)


def test_palette_images_with_alpha() -> None:
    image, palette = PILLOW["P"][0], np.array(PILLOW["P"][0].getpalette()).reshape(-1, 3)
    numbers = np.asarray(image)
    alpha = np.random.default_rng(9).integers(0, 256, numbers.shape, np.uint8)
    with_alpha = image.convert("PA")
    with_alpha.putalpha(Image.fromarray(alpha))
    assert with_alpha.mode == "PA"
    assert_input(with_alpha, on_white(np.dstack([palette[numbers] / 255, alpha / 255])))


def test_every_mode_is_walked() -> None:
    """The cases cover all modes that Pillow lists.

    Exceptions are other names of 16-bit gray, and modes that Pillow converts to RGB like YCbCr.
    """
    walked = {kind.split(",")[0] for kind in PILLOW} | {"PA"}
    assert set(Image.MODES) - {"I;16L", "I;16N", "HSV", "LAB"} <= walked
