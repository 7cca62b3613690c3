"""Make image files for tests, also files whose headers do not match their data."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

Image.init()
HAS_AVIF = (
    "AVIF" in Image.SAVE
)  # AVIF is newer than the oldest supported Pillow, and not part of all its wheels
try:
    import pillow_heif

    pillow_heif.register_heif_opener()
    HAS_HEIC = True
except ImportError:
    HAS_HEIC = False
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return one PNG chunk with its length and checksum."""
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
    """Return a PNG. Its header need not match its data.

    Args:
        pixels: the contents of the IDAT chunks, instead of `data`, which is compressed.
    """
    chunks = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))]
    if color == 3:
        chunks.append(png_chunk(b"PLTE", bytes(range(6))))
    chunks += [png_chunk(b"IDAT", part) for part in (pixels if pixels is not None else [zlib.compress(data)])]
    return PNG_SIGNATURE + b"".join(chunks) + png_chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the image file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


# The tags of a gray picture that is smaller than its only tile, and that tile.
TILE = zlib.compress(bytes(16 * 16))
TILED = {256: 4, 257: 4, 258: 8, 259: 8, 262: 1, 277: 1, 322: 16, 323: 16, 324: 8, 325: len(TILE)}


def tiff(tags: dict[int, int], content: bytes, further: bytes = b"") -> bytes:
    """Return a TIFF file with these tags, content from byte 8, and further directory entries."""
    entries = (
        b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())) + further
    )
    directory = struct.pack("<H", len(entries) // 12) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory
