"""Change a file's bytes, numbers and length at random, with a given generator."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random

__all__ = ["INTERESTING", "mutated", "resized", "with_number"]

#: Numbers for which readers often treat counts, offsets and extents wrongly.
INTERESTING = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32_767,
    32_768,
    65_535,
    65_536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
_NUMBERS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


def mutated(data: bytes, random: Random, *, tokens: Sequence[bytes] = (), maximum: int = 1 << 21) -> bytes:
    """Return the file after one to eight changes. It has at most `maximum` bytes. `tokens` may be inserted."""
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        change = random.choice((_bit, _byte, with_number, _removed, _repeated, _cut, resized))
        data = change(data, random)
        if tokens and random.random() < 0.2:
            place = random.randrange(len(data) + 1)
            data = data[:place] + random.choice(tokens) + data[place:]
    return data[:maximum]


def with_number(data: bytes, random: Random) -> bytes:
    """Replace bytes by one of INTERESTING, or a number next to it, as an integer of a random size."""
    kind = random.choice(_NUMBERS)
    size = struct.calcsize(kind)
    if len(data) < size:
        return data
    # Headers come first in most formats.
    place = (
        random.randrange(min(len(data), random.choice((64, 512, len(data)))) - size + 1)
        if len(data) > 64
        else 0
    )
    value = (random.choice(INTERESTING) + random.choice((-1, 0, 0, 0, 1))) % (1 << 8 * size)
    return data[:place] + struct.pack(kind, value) + data[place + size :]


def resized(data: bytes, random: Random) -> bytes:
    """Repeat a part of the file many times. Reading the large file must take time proportional to its size."""
    start = random.randrange(len(data) + 1)
    part = data[start : start + random.choice((1, 4, 16, 64, 1024))] or b"\0"
    return data[:start] + part * (random.choice((100, 5_000, 50_000, 1_000_000)) // len(part)) + data[start:]


def _bit(data: bytes, random: Random) -> bytes:
    return _with(data, random, lambda value: value ^ 1 << random.randrange(8))


def _byte(data: bytes, random: Random) -> bytes:
    return _with(data, random, lambda value: random.randrange(256))


def _with(data: bytes, random: Random, change: object) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return data[:place] + bytes([change(data[place])]) + data[place + 1 :]  # type: ignore[operator]


def _removed(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.choice((1, 2, 4, 16, 256)) :]


def _repeated(data: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] + data[end:]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]
