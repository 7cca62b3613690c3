"""How far results may lie from the float64 reference: the only place that says so.

Linear operations: |y - reference| <= factor * eps * sum |w| |x|, which grows with the terms that were added up, not
with the result. Everything else: units in the last place of the result. In float16 every layer is judged on inputs
that are halves already, and its one rounding to half is allowed on top.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_EPS = float(np.finfo(np.float32).eps)
HALF_EPS = float(np.finfo(np.float16).eps)
HALF_TINY = 2.0**-24  # the smallest subnormal

# Rounding errors of a sum of n float32 products grow with n in the worst case and with its square root in practice;
# four covers every draw of the tests' sizes with room, and a wrong tap is thousands of times larger.
LINEAR_FACTOR = 4.0
SOFTMAX_ULPS = 8.0  # the exponential's 2 ulp, the sum's, the division's
ELEMENTWISE_ULPS = 2.0
POWER_ULPS = 4.0  # of base^beta for each unit of 1 + |beta|: the base is a sum of squares, known to a few ulp
STATISTICS_ULPS = 8.0  # mean and variance of the data, the square root, the division
NEURON_ULPS = 8.0  # gelu has 7, the others less: tests/cpp/kernels_neuron_test.cpp


def assert_close(
    result: NDArray[Any], reference: NDArray[Any], bound: NDArray[Any] | float, *, half: bool = False
) -> None:
    """Fails unless |result - reference| <= bound everywhere; NaN and infinities must match."""
    result = np.asarray(result, np.float64)
    assert result.shape == reference.shape, f"shape {result.shape}, expected {reference.shape}"
    finite = np.isfinite(reference)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(reference))
    allowed = np.broadcast_to(bound, reference.shape).astype(np.float64)
    if half:
        allowed = allowed + np.abs(reference) * HALF_EPS / 2 + HALF_TINY / 2
    infinite = np.isinf(reference)
    np.testing.assert_array_equal(result[infinite], reference[infinite])
    difference = np.abs(np.subtract(result, reference, where=finite, out=np.zeros_like(result)))
    excess = difference - allowed
    worst = np.unravel_index(np.argmax(excess), excess.shape) if excess.size else ()
    assert not (excess > 0).any(), (
        f"at {worst}: {result[worst]!r}, expected {reference[worst]!r} within {allowed[worst]:.3g}"
    )


def linear_bound(magnitude: NDArray[Any]) -> NDArray[Any]:
    """For a sum of products with sum |w| |x| = magnitude."""
    return LINEAR_FACTOR * FLOAT32_EPS * magnitude + 1e-37


def ulp_bound(reference: NDArray[Any], ulps: float = ELEMENTWISE_ULPS) -> NDArray[Any]:
    """`ulps` units in the last place of float32 results."""
    return ulps * FLOAT32_EPS * np.abs(reference) + 1e-37
