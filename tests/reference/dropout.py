"""Compute dropout, with the random numbers of Salmon, Moraes, Dror and Shaw (2011): Philox4x32-10."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOW = (1 << 32) - 1


def philox(counter: int, key: int) -> list[int]:
    """Return four words of 32 bits for a counter of 128 bits and a key of 64 bits."""
    x = [counter >> shift & _LOW for shift in (0, 32, 64, 96)]
    k = [key & _LOW, key >> 32]
    for _ in range(10):
        first, second = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
        x = [(second >> 32) ^ x[1] ^ k[0], second & _LOW, (first >> 32) ^ x[3] ^ k[1], first & _LOW]
        k = [(k[0] + 0x9E3779B9) & _LOW, (k[1] + 0xBB67AE85) & _LOW]
    return x


def mask(shape: tuple[int, ...], attributes: dict[str, Any]) -> NDArray[np.bool_]:
    """Return which elements are kept, as an array that broadcasts to `shape`."""
    extents = list(shape)
    for from_end, axis in ((1, "channels"), (2, "x"), (3, "y")):
        if len(shape) - from_end >= 1 and attributes.get(f"mask_stride_{axis}", 1) == 0:
            extents[-from_end] = 1
    count = math.prod(extents)
    words = [word for block in range(-(-count // 4)) for word in philox(block, attributes.get("seed", 0))]
    kept = max(1, math.floor(float(np.float32(attributes.get("keep_probability", 0.5))) * 2**32))
    return np.array([word < kept for word in words[:count]]).reshape(extents)


def dropout(x: Any, attributes: dict[str, Any]) -> Any:
    x = np.asarray(x, np.float64)
    if not attributes.get("training", False):
        return x
    factor = 1.0 / float(np.float32(attributes.get("keep_probability", 0.5)))
    return x * np.where(mask(x.shape, attributes), factor, 0.0)
