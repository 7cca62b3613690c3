"""Fuzz the reader of IDX files, plain and gzipped (`mpscnn.read_idx`)."""

from __future__ import annotations

import gzip
import math
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from file_fuzzer import Limits, Target
from mutation import INTERESTING, mutated

import mpscnn

_SIZES = {
    8: 1,
    9: 1,
    11: 2,
    12: 4,
    13: 4,
    14: 8,
    7: 1,
    255: 1,
}  # bytes of an element by the number of its type; the last two types do not exist
_FILE = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-")) / "file"


def _file(kind: int, shape: Sequence[int], content: bytes) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


def _seeds() -> list[bytes]:
    images = _file(8, (20, 28, 28), bytes(range(256)) * 61 + bytes(64))
    floats = _file(13, (3, 5), struct.pack(">15f", *range(15)))
    return [images, floats, _file(8, (4,), b"\1\2\3\4"), gzip.compress(images, 6), gzip.compress(floats, 1)]


def _mutate(data: bytes, random: Random) -> bytes:
    """Return a file whose header may not fit its content, with changes before or after compression."""
    if random.random() < 0.3:
        return mutated(data, random)
    shape = [random.choice((0, 1, 2, 3, 28, 300)) for _ in range(random.randrange(1, 5))]
    if random.random() < 0.3:
        shape[random.randrange(len(shape))] = random.choice(INTERESTING)
    shape += [1] * random.choice((0, 0, 0, 250))
    kind = random.choice(list(_SIZES))
    size = math.prod(shape) * _SIZES[kind] + random.choice((-1, 0, 0, 0, 0, 1))
    maximum = (
        1 << 22 if random.random() < 0.05 else 1 << 14
    )  # zeros by the megabyte take milliseconds to compress
    content = _file(kind, shape, bytes(min(max(size, 0), maximum)))
    if random.random() < 0.3:
        content = mutated(content, random)
    if random.random() < 0.5:
        content = gzip.compress(content, random.choice((0, 1, 9)), mtime=0)
        content += random.choice((b"", b"", b"\0", content))
    return mutated(content, random) if random.random() < 0.3 else content


def _read(data: bytes) -> None:
    _FILE.write_bytes(data)
    array = mpscnn.read_idx(_FILE)
    # Deflate expands a byte to at most 1,032 bytes.
    assert array.nbytes <= 1_032 * len(data), (array.shape, len(data))


# A gzipped file of n bytes expands to up to 1,032 n bytes, and there are several copies of them.
TARGET = Target(_seeds, _read, _mutate, limits=Limits(seconds_per_byte=20e-6, memory_per_byte=4_200))
