"""Convolve signals by the definition: every tap of every output, one after the other, in float64."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray


def axis_positions(size: int, taps: int, mode: str, correlate: bool) -> list[list[tuple[int, int]]]:
    """Return for each output the pairs (tap, sample) of its sum. Samples may lie outside 0 .. size - 1."""
    full = range(size + taps - 1)
    wanted = {
        "full": full,
        "same": full[(taps - 1) // 2 :][:size],
        "valid": full[taps - 1 : size],
    }[mode]
    reach = [[(t, o - t) for t in range(taps)] for o in wanted]
    return [[(taps - 1 - t if correlate else t, i) for t, i in pairs] for pairs in reach]


def convolve(
    x: NDArray[Any], kernel: NDArray[Any], mode: str, boundary: str, *, correlate: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convolve the last kernel.ndim axes. Return the result, and the sum of the terms' absolute values."""
    axes = kernel.ndim
    signals = x.astype(np.float64).reshape(-1, *x.shape[-axes:])
    positions = [
        axis_positions(x.shape[axis - axes], kernel.shape[axis], mode, correlate) for axis in range(axes)
    ]
    shape = (len(signals), *(len(outputs) for outputs in positions))
    result, magnitude = np.zeros(shape), np.zeros(shape)
    for output in product(*(range(extent) for extent in shape[1:])):
        for terms in product(*(positions[axis][o] for axis, o in enumerate(output))):
            taps, samples = zip(*terms, strict=True)
            inside = all(0 <= i < signals.shape[axis + 1] for axis, i in enumerate(samples))
            if not inside and boundary == "zero":
                continue
            where = tuple(min(max(i, 0), signals.shape[axis + 1] - 1) for axis, i in enumerate(samples))
            term = float(kernel[taps]) * signals[(slice(None), *where)]
            result[(slice(None), *output)] += term
            magnitude[(slice(None), *output)] += np.abs(term)
    outer = x.shape[: x.ndim - axes]
    return result.reshape(*outer, *shape[1:]), magnitude.reshape(*outer, *shape[1:])
