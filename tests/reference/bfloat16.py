"""Compute networks in bfloat16 precision as x86-64 does, bit for bit: every sum in its order.

`mpscnn.devices()` names the order as `bfloat16_sums`. There are two: "pairs", and "blocks", which "blocks in tiles"
follows too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import window

TINY = 2.0**-126


def rounded(x: Any) -> NDArray[np.float32]:
    """Return the nearest bfloat16 numbers, ties to even. Magnitudes below 2^-126 become zeros, and NaN stays NaN."""
    x = np.asarray(x, np.float32)
    bits = x.view(np.uint32)
    up = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    result = np.where(np.abs(x) < TINY, bits & np.uint32(0x80000000), up)
    return np.where(np.isnan(x), np.float32(np.nan), result.astype(np.uint32).view(np.float32))


def multiply_add(a: Any, b: Any, c: Any) -> NDArray[np.float32]:
    """Return a * b + c, rounded to float32 once. a * b must be exact in float64. Subnormal results become zeros."""
    with np.errstate(all="ignore"):
        product, c = np.asarray(a, np.float64) * np.asarray(b, np.float64), np.asarray(c, np.float64)
        total = product + c
        part = total - product
        error = (product - (total - part)) + (c - part)  # the exact rounding error of `total`
        # Round the sum to odd. Then the second rounding, to float32, gives what one rounding would give.
        even = (total.view(np.int64) & 1) == 0
        inexact = np.isfinite(total) & (error != 0) & even
        total = np.where(inexact, np.nextafter(total, np.copysign(np.inf, error)), total)
        result = total.astype(np.float32)
    return np.where(np.abs(result) < TINY, np.copysign(np.float32(0), result), result)


def add_pairs(x: Any, weight: Any, total: Any) -> NDArray[np.float32]:
    """Add the products of a kernel position. The first axis has the inputs; of each two the second is added first."""
    inputs = len(x)
    for k in (k ^ 1 for k in range(inputs + inputs % 2)):
        if k < inputs:
            total = multiply_add(x[k], weight[k], total)
    return np.asarray(total, np.float32)


def add_blocks(x: Any, weight: Any, total: Any) -> NDArray[np.float32]:
    """Add the products in blocks of 32 inputs. The sums of a block's even and odd inputs are then added to `total`."""
    if len(x) % 2:
        x, weight = (np.concatenate([part, np.zeros_like(part[:1])]) for part in (x, weight))
    for first in range(0, len(x), 32):
        chains = [np.zeros_like(total), np.zeros_like(total)]
        for k in range(first, min(first + 32, len(x))):
            chains[k % 2] = multiply_add(x[k], weight[k], chains[k % 2])
        total = multiply_add(multiply_add(chains[0], 1, chains[1]), 1, total)
    return np.asarray(total, np.float32)


def convolution(x: Any, weight: Any, bias: Any, attributes: dict[str, Any], sums: str) -> NDArray[np.float32]:
    """Add one kernel position after the other, and return the float32 sums."""
    add = add_blocks if sums.startswith("blocks") and weight.shape[3] > 1 else add_pairs
    x, weight = rounded(x), rounded(weight)
    batch, height, width = x.shape[:3]
    outputs, inputs = weight.shape[0], weight.shape[3]
    rows, columns = window.positions(attributes, height, width)
    group_of = np.arange(outputs) // (outputs // attributes.get("groups", 1))
    result = np.broadcast_to(np.asarray(bias, np.float32), (batch, len(rows), len(columns), outputs)).copy()
    for i, row_taps in enumerate(rows):
        for j, column_taps in enumerate(columns):
            for u, y in enumerate(row_taps):
                for v, column in enumerate(column_taps):
                    if not (0 <= y < height and 0 <= column < width):
                        continue
                    source = np.stack([x[:, y, column, group_of * inputs + k] for k in range(inputs)])
                    result[:, i, j] = add(source, weight[:, u, v].T[:, None], result[:, i, j])
    return result
