"""Test photo files made to do harm: they start programs, claim large sizes, or lack pixels."""

from __future__ import annotations

import contextlib
import io
import math
import re
import stat
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import little_work
from photo_files import HAS_AVIF, HAS_HEIC, TILE, TILED, encoded, png, png_chunk, tiff
from PIL import EpsImagePlugin, Image, ImageFile

import mpscnn
from mpscnn import ImageError
from mpscnn.vision import photo_file, photo_formats, photo_samples
from mpscnn.vision.photo import open_photo
from mpscnn.vision.photo_file import MAX_SIDE
from mpscnn.vision.photo_list import photo_paths

EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n"
    b"20 20 scale 20 20 8 [20 0 0 20 0 0] {<00>} image\nshowpage\n%%EOF\n"
)


def noise(height: int = 40, width: int = 60) -> Image.Image:
    """Return a picture without two equal rows."""
    return Image.fromarray(np.random.default_rng(3).integers(1, 256, (height, width, 3), np.uint8))


# ---- No photo starts a process -----------------------------------------------------------------------------------


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that lists which programs were started.

    PATH has only stand-ins for the programs that Pillow calls.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    record = tmp_path / "started"
    for name in (
        "gs",
        "gswin32c",
        "gswin64c",
        "djpeg",
        "cjpeg",
        "ppmtogif",
        "ppmquant",
        "xv",
        "display",
        "gm",
    ):
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "$0" >>"{record}"\necho 10.0\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    record.touch()
    return record


def _iptc(content: bytes) -> bytes:
    """Return an IPTC record with a picture, which Pillow's decoder opens as a separate file."""

    def field(section: int, dataset: int, value: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, section, dataset, len(value)) + value

    size = field(3, 20, struct.pack(">H", 20)) + field(3, 30, struct.pack(">H", 20))
    return field(3, 60, b"\1\1") + field(3, 65, b"\1") + size + field(3, 120, b"\1") + field(8, 10, content)


CONTENTS = {
    "eps": EPS,
    "eps with a preview": b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 32, len(EPS), *[0] * 5) + EPS,
}


def test_the_programs_would_be_noticed(started: Path) -> None:
    with pytest.raises(OSError), Image.open(io.BytesIO(EPS)) as image:  # noqa: PT011 - whatever the fake's result is
        image.load()
    assert "gs" in started.read_text()


@pytest.mark.parametrize("suffix", ["jpg", "eps", "png", "tiff"])
@pytest.mark.parametrize("content", [*CONTENTS.values(), _iptc(EPS)])
def test_no_photo_starts_a_process(started: Path, tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"holiday.{suffix}"
    path.write_bytes(content)
    for given in (path, content, io.BytesIO(content)):
        with pytest.raises(ImageError, match="is not an image that Pillow can read"):
            open_photo(given)
    with pytest.raises(ImageError):
        mpscnn.load(mpscnn.registry.find("digits")).predict(path)
    assert started.read_text() == ""


def test_pillow_images_that_are_not_decoded_yet_start_none(started: Path) -> None:
    with Image.open(io.BytesIO(EPS)) as image, pytest.raises(ImageError, match=r"an EPS image .* load"):
        open_photo(image)
    assert started.read_text() == ""


def test_folders_hold_formats_that_are_read(tmp_path: Path) -> None:
    for suffix in (
        "eps",
        "ps",
        "wmf",
        "iptc",
        "jp2",
        "icns",
        "psd",
        "txt",
        "JPG",
        "jpeg",
        "png",
        "webp",
        "tif",
        "bmp",
    ):
        (tmp_path / f"a.{suffix}").touch()
    with pytest.warns(RuntimeWarning, match="files are left out: 1 .eps"):
        paths, failures = photo_paths([str(tmp_path)])
    assert [Path(path).suffix for path in paths] == [".JPG", ".bmp", ".jpeg", ".png", ".tif", ".webp"]
    assert not failures


def require_format(name: str) -> None:
    """Skip a test of a format that this Pillow does not write."""
    if name == "AVIF" and not HAS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    if name == "HEIF" and not HAS_HEIC:
        pytest.skip("pillow-heif is not installed")


def test_messages_do_not_depend_on_the_photos_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder of HEIC files is loaded when it is needed. Processes of a cluster have read other photos."""
    require_format("HEIF")
    after = photo_formats.unread_text(b"no photo", 8)
    monkeypatch.delitem(Image.OPEN, "HEIF")
    assert photo_formats.unread_text(b"no photo", 8) == after
    assert "HEIF" in after


def test_heic_photos_are_turned_once(tmp_path: Path) -> None:
    """A HEIC file turns its picture itself, whatever its EXIF block says."""
    require_format("HEIF")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :20] = 255  # the upper left corner
    path = tmp_path / "IMG_1.HEIC"
    Image.fromarray(pixels).save(path, "HEIF", exif=exif.tobytes(), quality=95)
    upright = mpscnn.preprocess(path, (60, 40), "none")[0]
    assert upright[5, 35].min() > 200  # the corner is at the upper right
    assert upright[5, 5].max() < 50
    assert photo_paths([str(tmp_path)]) == ([str(path)], [])


# ---- Sizes -------------------------------------------------------------------------------------------------------

ROW = b"\0\0"


@pytest.mark.parametrize("size", [(1, 199_999_999), (199_999_999, 1), (65_536, 10), (10, 65_536)])
def test_sides_are_bounded(size: tuple[int, int]) -> None:
    content = png(*size, color=3, data=ROW)
    assert len(content) < 130
    with pytest.raises(ImageError, match=rf"{size[0]} x {size[1]} pixels.*{MAX_SIDE:,}"):
        open_photo(content)


def test_the_longest_side_is_read() -> None:
    opened = open_photo(encoded(Image.new("L", (MAX_SIDE, 2), 7), "PNG"))
    assert opened.size == (MAX_SIDE, 2)
    with pytest.raises(ImageError, match="65,535"):
        open_photo(Image.new("L", (MAX_SIDE + 1, 1)))


# The file has 100 compressed rows. If its header says more, it is refused, even if other bytes or one more compressed
# row follow: these do not count as rows.
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("trailing", [b"", b"more", zlib.compress(ROW)])
def test_missing_pixels_of_png(interlaced: bool, trailing: bytes) -> None:
    parts = [zlib.compress(ROW * 100) + trailing]
    with pytest.raises(ImageError, match=r"is damaged or cut off: .* are missing"):
        open_photo(png(1, 20_001, color=3, pixels=parts, interlaced=interlaced))
    with pytest.raises(ImageError, match=r"is damaged or cut off: .* are missing"):
        open_photo(png(1, 101, color=3, pixels=parts, interlaced=interlaced))
    whole = png(1, 100, color=3, pixels=parts, interlaced=interlaced)
    assert open_photo(whole).size == (1, 100)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 8, 9, 13])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9, 13])
def test_interlaced_png(width: int, height: int) -> None:
    """The photo is black, like missing pixels, so only the number of bytes shows whether it is complete."""
    size = 0
    for left, top, across, down in ADAM7:
        columns, rows = len(range(left, width, across)), len(range(top, height, down))
        if columns and rows:
            size += rows * (1 + (columns + 7) // 8)
    for depth, color in ((1, 0), (1, 3)):
        whole = png(width, height, depth=depth, color=color, data=bytes(size), interlaced=True)
        assert open_photo(whole).size == (width, height)
        with pytest.raises(ImageError, match="is damaged or cut off"):
            open_photo(png(width, height, depth=depth, color=color, data=bytes(size - 1), interlaced=True))


def _flat(side: int, mode: str, kind: str, **options: Any) -> bytes:
    color = {"L": 200, "RGB": (200, 120, 40), "1": 1, "P": 3}[mode]
    return encoded(Image.new(mode, (side, side), color), kind, **options)  # type: ignore[arg-type]


FLAT = {
    "png": ("RGB", "PNG", {"optimize": True}),
    "png of bits": ("1", "PNG", {"optimize": True}),
    "gif": ("P", "GIF", {}),
    "jpeg": ("RGB", "JPEG", {}),
    "progressive jpeg": ("L", "JPEG", {"progressive": True, "optimize": True}),
    "webp": ("RGB", "WEBP", {}),
    "lossless webp": ("RGB", "WEBP", {"lossless": True}),
    "avif": ("RGB", "AVIF", {"speed": 10}),
    "heic": ("RGB", "HEIF", {}),
    "tiff": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "fax": ("1", "TIFF", {"compression": "group4"}),
}


@pytest.mark.parametrize("kind", FLAT)
@pytest.mark.parametrize("side", [40, 2_000])
def test_flat_pictures_are_read(kind: str, side: int) -> None:
    """Complete pictures of one colour are read, even if they have very few bytes."""
    mode, format_, options = FLAT[kind]
    require_format(format_)
    assert open_photo(_flat(side, mode, format_, **options)).size == (side, side)


def _claiming(content: bytes, kind: str, side: int) -> bytes:
    """Return the file with another size in its header."""
    if kind == "JPEG":
        start = content.index(b"\xff\xc0") + 5
        return content[:start] + struct.pack(">HH", side, side) + content[start + 4 :]
    if kind == "GIF":
        frame = content.index(b"\x2c") + 5
        size = struct.pack("<HH", side, side)
        return content[:6] + size + content[10:frame] + size + content[frame + 4 :]
    return png(side, side, depth=1, color=0, data=bytes(1000))


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "PNG"])
def test_more_pixels_than_a_file_can_hold(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> None:
        raise AssertionError("decoded")

    content = _claiming(encoded(noise().convert("L"), kind), kind, 14_000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    with pytest.raises(ImageError, match=rf"14000 x 14000 pixels are more than .* {len(content):,} bytes"):
        open_photo(content)


def test_more_pixels_than_flat_pictures_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_file, "_FREE_SAMPLES", 1_000)
    monkeypatch.setattr(photo_file, "_SAMPLES_PER_BYTE", 1)
    content = _flat(200, "RGB", "WEBP", lossless=True)
    with pytest.raises(ImageError, match=r"200 x 200 pixels are more than .* open it with Pillow"):
        open_photo(content)
    assert open_photo(Image.open(io.BytesIO(content))).size == (200, 200)


@pytest.mark.parametrize(
    ("depth", "color", "samples"),
    [(1, 0, 1), (8, 3, 1), (8, 0, 1), (8, 4, 2), (8, 2, 3), (8, 6, 4), (16, 0, 2), (16, 2, 6), (16, 6, 8)],
)
def test_samples_of_a_small_file_are_bounded(
    depth: int, color: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of some kilobytes may have as many pixels as its samples fit in 500 MB."""

    def decode(*_: Any) -> None:
        raise AssertionError("decoded")

    size = 30_000
    side = math.isqrt((90_000_000 + 200 * size) // samples)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    monkeypatch.setattr(photo_file, "_MAX_PIXELS_PER_BYTE", {})
    for more, message in ((0, "decoded"), (1, r"pixels are more than the .* allowed for such a PNG file")):
        content = png(side + more, side + more, depth=depth, color=color, data=b"")
        content = content.ljust(size, b"\0")
        with pytest.raises(ImageError, match=message):
            open_photo(content)


@pytest.mark.parametrize(
    ("width", "height", "samples", "size"),
    [
        pytest.param(8_000, 6_000, 3, 300_000, id="drawing"),
        pytest.param(9_921, 14_031, 1, 300_000, id="scan"),
        pytest.param(12_000, 8_400, 3, 2_000_000, id="JPEG"),
        pytest.param(6_400, 4_800, 3, 20_000, id="flat"),
    ],
)
def test_usual_large_pictures_are_allowed(width: int, height: int, samples: int, size: int) -> None:
    assert photo_file.allowed_pixels(size, samples) >= width * height


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_strips_of_a_picture_are_joined(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise().convert(mode) if mode != "PA" else noise().convert("P").convert("PA")
    whole = open_photo(image).pixels
    monkeypatch.setattr(photo_samples, "_STRIP", 100)
    np.testing.assert_array_equal(open_photo(image).pixels, whole)
    if mode in ("L", "P", "RGB"):
        image.info["transparency"] = (9, 9, 9) if mode == "RGB" else 9
        cut = open_photo(image).pixels
        monkeypatch.undo()
        np.testing.assert_array_equal(open_photo(image).pixels, cut)


def test_scans_of_progressive_jpeg_are_bounded() -> None:
    """A scan of a few bytes may make the decoder visit all pixels."""
    content = encoded(Image.new("L", (8_000, 8_000), 9), "JPEG", progressive=True)
    scan = content.rindex(b"\xff\xda")
    end = content.rindex(b"\xff\xd9")
    repeated = content[:end] + content[scan:end] * 2_000 + b"\xff\xd9"
    with little_work(), pytest.raises(ImageError, match="scans"):
        open_photo(repeated)


def test_visits_of_scans_are_bounded() -> None:
    """Fewer scans than are allowed may visit all samples of a large picture of few bytes again and again."""
    content = encoded(Image.new("L", (8_000, 8_000), 9), "JPEG", progressive=True)
    scan = content.rindex(b"\xff\xda")
    repeated = content[:-2] + content[scan:-2][:700] * 90 + content[-2:]
    with little_work(), pytest.raises(ImageError, match="scans of 8000 x 8000 pixels visit"):
        open_photo(repeated)


def test_pictures_of_webp_count_the_four_samples_of_its_decoder() -> None:
    content = encoded(Image.new("RGB", (6_000, 4_500)), "WEBP", lossless=True)
    with little_work(), pytest.raises(ImageError, match=r"are more than the 22,[0-9]+,[0-9]+ allowed"):
        open_photo(content)


def _stating(content: bytes, width: int, height: int) -> bytes:
    """Return an AVIF file whose boxes state another size than that of the coded pictures."""
    return re.sub(
        rb"(ispe....)........",
        lambda found: found[1] + struct.pack(">II", width, height),
        content,
        flags=re.DOTALL,
    )


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("is_sequence", [False, True])
def test_avif_files_code_what_they_state(mode: str, is_sequence: bool) -> None:
    """The decoder would take the memory of the coded picture, and scale it."""
    options: dict[str, Any] = {"save_all": True, "append_images": [Image.new(mode, (500, 300), 1)]}
    image = Image.new(mode, (500, 300), 9)
    content = encoded(image, "AVIF", speed=10, **(options if is_sequence else {}))
    assert open_photo(content).size == (500, 300)
    for width, height in ((64, 64), (499, 300), (500, 301)):
        changed = _stating(content, width, height)
        if is_sequence:  # boxes of the track state the size, too
            sides = struct.Struct(">II")
            changed = changed.replace(sides.pack(500 << 16, 300 << 16), sides.pack(width << 16, height << 16))
        with pytest.raises(ImageError, match="codes a picture of 500 x 300 pixels, which it does not state"):
            open_photo(changed)


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF")
def test_damaged_boxes_of_avif_files() -> None:
    content = encoded(noise(), "AVIF", speed=10)
    assert open_photo(content + b"\0\0\0\3other data of a camera").size == (60, 40)
    for place in range(content.index(b"mdat") + 30):
        damaged = content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
        with contextlib.suppress(ImageError):
            open_photo(damaged)


def test_comments_between_the_pixels_are_bounded() -> None:
    """The decoder copies a block for each comment."""
    commented = b"P2 4 4 255 " + b"#c\n" * 1_000 + b"1 " * 16
    assert open_photo(commented).size == (4, 4)
    with little_work(), pytest.raises(ImageError, match="more than the 1,000 comments allowed"):
        open_photo(b"P1 4 4 " + b"#c\n" * 1_000_000 + b"1 " * 16)
    assert open_photo(b"P5 60 40 255 " + b"#" * 2_400).size == (60, 40)


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (1 << 31, 1), (1 << 24, 16)])
def test_tiles_are_bounded(width: int, height: int) -> None:
    """Decoders allocate memory for a whole tile."""
    content = tiff({**TILED, 322: width, 323: height}, TILE)
    with pytest.raises(ImageError, match=f"tiles of {width} x {height} pixels are more than"):
        open_photo(content)


def test_tiles_larger_than_their_picture() -> None:
    assert open_photo(tiff(TILED, TILE)).size == (4, 4)


# ---- Metadata ----------------------------------------------------------------------------------------------------


def tiff_of_shared_bytes(tags: int, size: int) -> bytes:
    """Return a TIFF file of one gray pixel, with tags that all share the same `size` bytes as their value."""
    pixel = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    end = 9 + 2 + 12 * (len(pixel) + tags) + 4
    shared = b"".join(struct.pack("<HHII", 1_000 + i, 1, size, end) for i in range(tags))
    return tiff(pixel, b"\x80", shared) + bytes(size)


def jpeg_with_exif(block: bytes) -> bytes:
    """Return a JPEG with an EXIF block in as many segments as necessary, which a decoder joins."""
    content = encoded(Image.new("L", (8, 8)), "JPEG")
    maximum = 65_535 - 2 - 6
    parts = [block[i : i + maximum] for i in range(0, len(block), maximum)]
    segments = [b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(part)) + b"Exif\0\0" + part for part in parts]
    end_of_jfif = content.index(b"\xff\xdb")
    return content[:2] + b"".join(segments) + content[end_of_jfif:]


# Pillow reads the whole EXIF block of AVIF files when it opens them. From version 13 on it has its own limit.
SHARED_BYTES = tiff_of_shared_bytes(8_000, 300_000)


@pytest.mark.filterwarnings("ignore:(Tag data larger|Truncated File|Corrupt EXIF|Possibly corrupt)")
@pytest.mark.parametrize(
    "content",
    [
        SHARED_BYTES,
        jpeg_with_exif(SHARED_BYTES),
        *(
            encoded(Image.new("RGB", (8, 8)), kind, exif=b"Exif\0\0" + SHARED_BYTES)
            for kind in ("PNG", "WEBP")
        ),
    ],
    ids=["tiff", "jpeg", "png", "webp"],
)
def test_metadata_take_memory_by_their_size(content: bytes) -> None:
    """A decoder that copies the 300,000 bytes for each of the 8,000 tags would need 2.4 GB.

    The case of TIFF takes a second, since each of the 8,000 tags is decoded.
    """
    tracemalloc.start()
    with contextlib.suppress(ImageError):  # some versions of Pillow refuse the file
        open_photo(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.filterwarnings("ignore:(Tag data larger|Truncated File)")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_orientation_before_long_metadata(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x9286] = "long " * (100_000 if kind != "JPEG" else 10_000)
    assert open_photo(encoded(noise(), kind, exif=exif)).orientation == 6


# ---- Truncated files ---------------------------------------------------------------------------------------------

WHOLE = {
    "png": encoded(noise(), "PNG"),
    "interlaced png": png(
        8,
        4,
        color=0,
        data=b"".join(b"\0" + bytes([9] * n) for n in (1, 1, 2, 4, 4, 4, 8, 8)),
        interlaced=True,
    ),
    "jpeg": encoded(noise(), "JPEG"),
    "progressive jpeg": encoded(noise(), "JPEG", progressive=True),
    "gif": encoded(noise(), "GIF"),
    "bmp": encoded(noise(), "BMP"),
    "ppm": encoded(noise(), "PPM"),
    "webp": encoded(noise(), "WEBP"),
    "lossless webp": encoded(noise(), "WEBP", lossless=True),
    "tiff": encoded(noise(), "TIFF"),
    "lzw tiff": encoded(noise(), "TIFF", compression="tiff_lzw"),
    "deflate tiff": encoded(noise(), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg tiff": encoded(noise(), "TIFF", compression="jpeg"),
    "fax tiff": encoded(noise().convert("1"), "TIFF", compression="group4"),
}
if HAS_AVIF:
    WHOLE["avif"] = encoded(noise(), "AVIF")
if HAS_HEIC:
    WHOLE["heic"] = encoded(noise(), "HEIF")


@pytest.fixture(params=[False, True], ids=["", "LOAD_TRUNCATED_IMAGES"])
def permissive(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Test with and without Pillow's option to fill missing pixels."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", request.param)
    return bool(request.param)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_photos(kind: str, permissive: bool) -> None:
    """A photo that is cut off anywhere is refused, unless all its pixels come before the cut."""
    whole = WHOLE[kind]
    expected = open_photo(whole).pixels
    rng = np.random.default_rng(5)
    for length in sorted({len(whole) - 1, *rng.integers(1, len(whole), 60).tolist()}):
        try:
            pixels = open_photo(whole[:length]).pixels
        except ImageError:
            continue
        np.testing.assert_array_equal(pixels, expected, err_msg=f"{kind}, {length} of {len(whole)} bytes")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is permissive


def _short_gif() -> bytes:
    """Return a GIF of 40 x 40 pixels whose compressed data have one pixel: clear, a pixel, end."""
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 40, 40, 0) + b"\2\2" + struct.pack("<H", 4 | 1 << 3 | 5 << 6)
    return (
        b"GIF89a" + struct.pack("<HHBBB", 40, 40, 0x80, 0, 0) + bytes(range(6)) + frame + b"\0;" + bytes(100)
    )


def _short_tiff(compression: int, strip: bytes) -> bytes:
    """Return a TIFF file of 40 x 40 gray pixels in one strip."""
    size = {256: 40, 257: 40, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: 40, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in size.items())
    header = b"II*\0" + struct.pack("<I", 8 + len(strip))
    return header + strip + struct.pack("<H", len(size)) + entries + bytes(4)


def _short_bmp() -> bytes:
    """Return a BMP file of 40 x 40 run-length encoded pixels, of which only five are present."""
    header = struct.pack("<IHHIIiiHHIIiiII", 1082, 0, 0, 1078, 40, 40, 40, 1, 8, 1, 4, 0, 0, 256, 0)
    return b"BM" + header + bytes(1024) + b"\5\1\0\1" + bytes(100)


SHORT = {
    "gif": _short_gif(),
    "deflate tiff": _short_tiff(8, zlib.compress(bytes([9]) * 800)),
    "packbits tiff": _short_tiff(32773, bytes([256 - 39, 9]) * 20),
    "bmp": _short_bmp(),
}


@pytest.mark.parametrize("kind", SHORT)
def test_compressed_data_that_end_early(kind: str, permissive: bool) -> None:
    with pytest.raises(ImageError, match="is damaged or cut off"):
        open_photo(SHORT[kind])


def test_a_long_file_of_chunks_takes_time_by_its_bytes() -> None:
    content = WHOLE["png"]
    end = content.index(b"IDAT") - 4
    padded = content[:end] + png_chunk(b"juNk", b"") * 50_000 + content[end:]
    with little_work():
        assert open_photo(padded).size == (60, 40)


def test_formats_are_documented(project: Path) -> None:
    text = (project / "docs" / "preprocessing.md").read_text(encoding="utf-8")
    for name in photo_formats.FORMATS:
        assert f"`{name}`" in text
