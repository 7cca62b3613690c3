"""How far results may lie from the float64 reference: the only place that says so.

Linear operations: |y - reference| <= factor * eps * sum |w| |x|, which grows with the terms that were added up, not
with the result. Everything else: units in the last place of the result. In float16 every layer is compared on inputs
that are halves already, and its one rounding to half is allowed on top.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_EPS = float(np.finfo(np.float32).eps)
HALF_EPS = float(np.finfo(np.float16).eps)
BFLOAT16_EPS = 2.0**-7
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


def start_bound(start: NDArray[Any], terms: int) -> NDArray[Any]:
    """For a sum that starts with a number beside which its terms may be small: each addition may round that off."""
    return terms * FLOAT32_EPS / 2 * np.abs(start)


def bfloat16_bound(reference: NDArray[Any]) -> NDArray[Any]:
    """For results that are rounded to bfloat16 where the last bits of their sums may differ: one number further."""
    return BFLOAT16_EPS * np.abs(reference) + 1e-6


def ulp_bound(reference: NDArray[Any], ulps: float = ELEMENTWISE_ULPS) -> NDArray[Any]:
    """`ulps` units in the last place of float32 results."""
    return ulps * FLOAT32_EPS * np.abs(reference) + 1e-37


def neuron_bound(x: NDArray[Any], attributes: dict[str, Any], reference: NDArray[Any]) -> Any:
    """Units in the last place, and what the rounded argument a * x + b or b * x means for the result."""
    kind = attributes["kind"]
    a, b, c = (attributes.get(name, 0.0) for name in "abc")
    size = np.abs(a * np.nan_to_num(x)) + abs(b)
    finite = np.where(np.isfinite(reference), reference, 0.0)
    with np.errstate(all="ignore"):
        if kind in ("linear", "hard_sigmoid"):
            return ulp_bound(size)
        if kind == "power":
            base = np.abs(a * x + b)
            return ulp_bound(finite, NEURON_ULPS) + np.nan_to_num(
                abs(finite * c) * ulp_bound(size) / base, posinf=0
            )
        if kind == "exponential":
            return ulp_bound(finite, NEURON_ULPS + 2 * size * (1 if c == -1 else abs(np.log(c))))
        if kind == "logarithm":
            factor = 1 if c == -1 else 1 / abs(np.log(c))
            argument = np.nan_to_num(factor * ulp_bound(size) / np.abs(a * x + b), posinf=0)
            return ulp_bound(finite, NEURON_ULPS) + argument
        if kind == "softplus":  # e^(b x) multiplies the error of b x
            return ulp_bound(finite, NEURON_ULPS + 2 * np.abs(b * np.nan_to_num(x, posinf=0, neginf=0)))
    return ulp_bound(finite, NEURON_ULPS)


def defined_where_attached(kind: str, x: NDArray[Any], device: str) -> NDArray[np.bool_]:
    """Where an activation attached to a convolution's sums `x` has one right answer on this device.

    On Metal, MPS applies ReLU and ReLUN. By its formulas, a minimum and a product with
    the slope, NaN need not pass, nor minus infinity become zero.
    """
    if device == "metal" and kind in ("relu", "relun"):
        return ~np.isnan(x) & (x != -np.inf)
    return np.ones(x.shape, bool)


def normalized_bound(x: Any, mean: Any, variance: Any, epsilon: float, gamma: Any, beta: Any) -> Any:
    """Rounding of x - mean, and what the variance's error makes of it."""
    scaled = np.abs(gamma) * np.abs(x - mean) / np.sqrt(variance + epsilon)
    rounded = np.abs(gamma) * np.sqrt(variance) / np.sqrt(variance + epsilon)
    return STATISTICS_ULPS * FLOAT32_EPS * (scaled + rounded + np.abs(beta)) + 1e-37


def power_bound(reference: NDArray[Any], beta: float) -> NDArray[Any]:
    """For x / base^beta."""
    return ulp_bound(reference, POWER_ULPS * (1 + abs(beta)))


def local_contrast_bound(
    magnitude: NDArray[Any],
    mean: NDArray[Any],
    variance: NDArray[Any],
    attributes: dict[str, Any],
    reference: NDArray[Any],
) -> NDArray[Any]:
    """For (difference of terms of this magnitude) / (delta + alpha * variance)^beta, plus a number of at most 1.

    The variance is known to its own rounding and to what rounding the columns' means does to deviations from them.
    """
    alpha, beta, delta = (attributes[name] for name in ("alpha", "beta", "delta"))
    base = delta + alpha * variance
    relative = POWER_ULPS * (1 + beta * (1 + alpha * np.sqrt(variance) * mean / base))
    bound: NDArray[Any] = FLOAT32_EPS * (relative * magnitude / base**beta + np.abs(reference) + 1)
    return bound


def statistics_bound(reference: NDArray[Any]) -> NDArray[Any]:
    """For (1, 2, 1, channels) means, then variances."""
    bound: NDArray[Any] = (
        STATISTICS_ULPS * FLOAT32_EPS * (np.abs(reference) + np.sqrt(reference[:, 1:])) + 1e-37
    )
    return bound


def combined_statistics_bound(reference: NDArray[Any]) -> NDArray[Any]:
    """For statistics of several batches: their means are rounded before their distances are taken."""
    mean, variance = reference[:, :1], reference[:, 1:]
    rounding = ELEMENTWISE_ULPS * FLOAT32_EPS * np.abs(mean)
    moved = np.concatenate([0 * mean, rounding * (2 * np.sqrt(variance) + rounding)], axis=1)
    return statistics_bound(reference) + moved
