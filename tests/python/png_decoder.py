"""A PNG decoder for tests, written from the specification (W3C, Portable Network Graphics, third edition)."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples in each pixel
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunks_of(content: bytes) -> dict[bytes, bytes]:
    """Return the contents of chunks by kind. Chunks of one kind are joined."""
    found: dict[bytes, bytes] = {}
    position = 8
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        found[kind] = found.get(kind, b"") + content[position + 8 : position + 8 + length]
        position += 12 + length
    return found


def _unfiltered(data: bytes, rows: int, row_bytes: int, pixel_bytes: int) -> np.ndarray[Any, Any]:
    """Undo the filters of all rows (section 9, "Filtering")."""
    # There is a row of zeros above, and a pixel of zeros before each row.
    lines = np.zeros((rows + 1, pixel_bytes + row_bytes), np.int64)
    for row in range(rows):
        kind, *line = data[row * (row_bytes + 1) : (row + 1) * (row_bytes + 1)]
        for i, value in enumerate(line):
            a = int(lines[row + 1, i])
            b = int(lines[row, pixel_bytes + i])
            c = int(lines[row, i])
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            lines[row + 1, pixel_bytes + i] = value + (0, a, b, (a + b) // 2, paeth)[kind] & 255
    return lines[1:, pixel_bytes:].astype(np.uint8)


def _samples(lines: np.ndarray[Any, Any], columns: int, depth: int, count: int) -> np.ndarray[Any, Any]:
    """Unpack bytes to whole numbers (rows, columns, samples of a pixel)."""
    if depth == 16:
        whole = lines[:, 0::2].astype(np.int64) * 256 + lines[:, 1::2]
    else:
        bits = np.unpackbits(lines, axis=1).reshape(len(lines), -1, depth)
        whole = (bits.astype(np.int64) << np.arange(depth - 1, -1, -1)).sum(-1)
    return whole[:, : columns * count].reshape(len(lines), columns, count)


def decoded(content: bytes) -> np.ndarray[Any, Any]:
    """Decode a PNG to RGBA from 0 to 1, float64 (height, width, 4)."""
    chunks = chunks_of(content)
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    count = SAMPLES[color]
    pixel_bytes = max(1, count * depth // 8)
    data = zlib.decompress(chunks[b"IDAT"])
    numbers = np.zeros((height, width, count), np.int64)
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = len(range(left, width, across)), len(range(top, height, down))
        if not columns or not rows:
            continue
        row_bytes = -(-columns * count * depth // 8)
        lines = _unfiltered(data, rows, row_bytes, pixel_bytes)
        data = data[rows * (row_bytes + 1) :]
        numbers[top::down, left::across] = _samples(lines, columns, depth, count)
    return _colors(numbers, depth, color, chunks)


def _colors(
    numbers: np.ndarray[Any, Any], depth: int, color: int, chunks: dict[bytes, bytes]
) -> np.ndarray[Any, Any]:
    maximum = 2**depth - 1
    rgba = np.ones((*numbers.shape[:2], 4))
    transparent = chunks.get(b"tRNS")
    if color == 3:
        palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3) / 255
        alpha = np.ones(len(palette))
        given = np.frombuffer(transparent or b"", np.uint8) / 255
        alpha[: len(given)] = given
        rgba[..., :3] = palette[numbers[..., 0]]
        rgba[..., 3] = alpha[numbers[..., 0]]
        return rgba
    rgba[..., :3] = numbers[..., :3] / maximum if color in (2, 6) else numbers[..., :1] / maximum
    if color in (4, 6):
        rgba[..., 3] = numbers[..., -1] / maximum
    elif transparent is not None:
        wanted = np.frombuffer(transparent, ">u2").astype(np.int64) & maximum
        rgba[..., 3] = ~(numbers == wanted).all(-1)
    return rgba


def on_white(rgba: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return RGB from 0 to 255, composited over white."""
    alpha = rgba[..., 3:]
    return 255 * (rgba[..., :3] * alpha + 1 - alpha)
