"""Fuzz the reader of photo files (`mpscnn.open_photo`), with all its formats."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from file_fuzzer import Limits, Target
from mutation import INTERESTING, mutated, resized, with_number
from PIL import Image

import mpscnn

sys.path.append(str(Path(__file__).parent.parent / "python"))
from photo_files import HAS_HEIC, TILE, TILED, tiff  # type: ignore[import-not-found]

_PNG = b"\x89PNG\r\n\x1a\n"
# Parts of headers of several formats.
_TOKENS = (
    b"\xff\xda",
    b"\xff\xc2",
    b"\xff\xd9",
    b"\xff\xdd\0\4\0\1",
    b"IDAT",
    b"acTL",
    b"fcTL",
    b"tRNS",
    b"II*\0",
    b"MM\0*",
    b"RIFF",
    b"VP8X",
    b"ANMF",
    b"ftypavif",
    b"ftypheic",
    b"ispe",
    b"\x21\xf9\4",
    b"\x2c",
    b"P6 9 9 255 ",
    b"#c\n",
    b"Exif\0\0",
    b"\xff\xe2\0\6MPF",
)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _seeds() -> list[bytes]:
    Image.init()
    random = np.random.default_rng(7)
    noise = Image.fromarray(random.integers(0, 256, (24, 36, 3), np.uint8))
    flat = Image.new("RGB", (400, 300), (200, 20, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    seeds = [
        _saved(noise, "PNG", exif=exif),
        _saved(flat, "PNG"),
        _saved(noise.quantize(16), "PNG", transparency=3),
        _saved(noise, "JPEG", exif=exif, quality=70),
        _saved(flat, "JPEG", progressive=True),
        _saved(noise.convert("CMYK"), "JPEG"),
        _saved(noise, "GIF"),
        _saved(
            flat.convert("P"), "GIF", save_all=True, append_images=[noise.convert("P").resize((400, 300))]
        ),
        _saved(noise, "BMP"),
        _saved(noise, "PPM"),
        _saved(noise, "WEBP", exif=exif),
        _saved(flat, "WEBP", lossless=True),
        *(
            _saved(noise, "TIFF", compression=compression, exif=exif)
            for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        _saved(noise.convert("1"), "TIFF", compression="group4"),
        tiff(TILED, TILE),
        b"P3 #c\n 4 4 255 #c\n" + b"1 " * 48,
    ]
    if "AVIF" in Image.SAVE:
        seeds.append(_saved(noise, "AVIF", speed=10))
    if HAS_HEIC:
        seeds.append(_saved(noise, "HEIF", quality=60))
    return seeds


def _mutate(data: bytes, random: Random) -> bytes:
    if data.startswith(_PNG) and random.random() < 0.7:
        return _mutated_png(data, random)
    return mutated(data, random, tokens=_TOKENS)


def _mutated_png(data: bytes, random: Random) -> bytes:
    """Change chunks of a PNG file, with right checksums. Otherwise decoders would stop at the first chunk."""
    chunks = _chunks(data)
    for _ in range(random.choice((1, 2, 4))):
        if not chunks:
            break
        place = random.randrange(len(chunks))
        kind, content = chunks[place]
        choice = random.randrange(6)
        if choice == 0:
            chunks.insert(random.randrange(len(chunks) + 1), (kind, content))
        elif choice == 1:
            del chunks[place]
        elif choice == 2 and kind == b"IHDR":
            sizes = struct.pack(
                ">II", *(random.choice((1, 30, 5_000, *INTERESTING)) % 2**32 for _ in range(2))
            )
            chunks[place] = (kind, sizes + content[8:])
        elif choice == 3 and kind == b"IDAT":
            chunks[place] = (kind, zlib.compress(mutated(_inflated(content), random)))
        elif choice == 4:
            chunks[place] = (kind, resized(content, random))
        else:
            chunks[place] = (kind, with_number(content, random))
    packed = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return _PNG + b"".join(packed)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks = []
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, 1 << 20)
    except zlib.error:
        return content


def _read(data: bytes) -> None:
    photo = mpscnn.open_photo(data)
    assert photo.pixels.size > 0
    assert max(photo.size) <= 65_535


# docs/preprocessing.md states how many samples a file of n bytes may have: 90 million + 200 n, but at most 200 million
# pixels. A decoded sample and its copies take up to some 6 bytes and 20 ns, and a pixel 30 bytes and 100 ns.
_SAMPLES, _SAMPLES_PER_BYTE, _MAX_PIXELS = 90_000_000, 200, 200_000_000
_SECONDS, _MEMORY = 20e-9, 6
TARGET = Target(
    _seeds,
    _read,
    _mutate,
    limits=Limits(
        seconds=2.0 + _SECONDS * _SAMPLES,
        seconds_per_byte=_SECONDS * _SAMPLES_PER_BYTE,
        memory=(64 << 20) + _MEMORY * _SAMPLES,
        memory_per_byte=_MEMORY * _SAMPLES_PER_BYTE,
        max_seconds=2.0 + 100e-9 * _MAX_PIXELS,
        max_memory=(64 << 20) + 30 * _MAX_PIXELS,
    ),
)
