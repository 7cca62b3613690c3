"""Compute the allowed differences between results and the float64 reference, from mpscnn.apps.verify.error_bounds.

They depend on the tested device. The emulation of Metal has those of the CPU, because the CPU does its arithmetic.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from metal.emulation import is_emulated
from numpy.typing import NDArray

from mpscnn.apps.verify.error_bounds import BFLOAT16_EPS, CPU, FLOAT32_EPS, HALF_EPS, HALF_TINY, METAL

PROMISED = METAL if os.environ.get("MPSCNN_DEVICE") == "metal" and not is_emulated() else CPU

LINEAR_FACTOR = PROMISED.linear_factor
SOFTMAX_ULPS = PROMISED.softmax_ulps
ELEMENTWISE_ULPS = PROMISED.elementwise_ulps
STATISTICS_ULPS = PROMISED.statistics_ulps
NEURON_ULPS = PROMISED.neuron_ulps

linear_bound = PROMISED.linear_bound
ulp_bound = PROMISED.ulp_bound
neuron_bound = PROMISED.neuron_bound
softmax_bound = PROMISED.softmax_bound
log_softmax_bound = PROMISED.log_softmax_bound
normalized_bound = PROMISED.normalized_bound
norm_bound = PROMISED.norm_bound
spread_bound = PROMISED.spread_bound
log_sum_exp_bound = PROMISED.log_sum_exp_bound
power_bound = PROMISED.power_bound
local_contrast_bound = PROMISED.local_contrast_bound
statistics_bound = PROMISED.statistics_bound
training_loss_bound = PROMISED.training_loss_bound
combined_statistics_bound = PROMISED.combined_statistics_bound

#: A mark for tests with NaN or infinities. Apple does not document how kernels of MPS treat them.
needs_promise_about_nan = pytest.mark.skipif(
    PROMISED is METAL, reason="what MPS makes of NaN and infinities is not promised (docs/metal.md)"
)

__all__ = ["FLOAT32_EPS", "HALF_EPS", "HALF_TINY"]


def assert_close(
    result: NDArray[Any], reference: NDArray[Any], bound: NDArray[Any] | float, *, half: bool = False
) -> None:
    """Check that |result - reference| <= bound everywhere. NaN and infinities must match. `half`: float16 results."""
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


def start_bound(start: NDArray[Any], terms: int) -> NDArray[Any]:
    """Return a bound for sums that start with a number much larger than the terms: each addition rounds the sum."""
    return terms * FLOAT32_EPS / 2 * np.abs(start)


def bfloat16_bound(reference: NDArray[Any]) -> NDArray[Any]:
    """Return a bound for results that are rounded to bfloat16: they may be neighbouring bfloat16 numbers."""
    return BFLOAT16_EPS * np.abs(reference) + 1e-6


def defined_where_attached(kind: str, x: NDArray[Any], device: str) -> NDArray[np.bool_]:
    """Return True for each element of `x` if an activation of it has only one right result on this device.

    `x` are the sums of a convolution with an attached activation. On Metal, MPS applies ReLU and ReLUN by a minimum and
    a product with the slope. With these formulas NaN may get lost, and minus infinity may not become zero.
    """
    if device == "metal" and kind in ("relu", "relun"):
        return ~np.isnan(x) & (x != -np.inf)
    return np.ones(x.shape, bool)
