"""Image files made for tests: whole ones, and ones whose headers promise what is not there."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

Image.init()
HAS_AVIF = "AVIF" in Image.SAVE  # newer than the oldest Pillow, and not in each one's wheels
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int,
    height: int,
    *,
    depth: int = 8,
    color: int = 2,
    data: bytes = b"",
    interlaced: bool = False,
    pixels: Sequence[bytes] | None = None,
) -> bytes:
    """A PNG whose header may promise anything. `pixels`: contents of the IDAT chunks, instead of `data` compressed."""
    chunks = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))]
    if color == 3:
        chunks.append(png_chunk(b"PLTE", bytes(range(6))))
    chunks += [png_chunk(b"IDAT", part) for part in (pixels if pixels is not None else [zlib.compress(data)])]
    return PNG_SIGNATURE + b"".join(chunks) + png_chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image's file, as Pillow writes it."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
