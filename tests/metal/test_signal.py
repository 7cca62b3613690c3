"""Tests of the convolution of signals on the GPU."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from reference.signal import convolve
from tolerance import LINEAR_FACTOR, assert_close

import mpscnn

FUNCTIONS = {
    (1, False): mpscnn.convolve1d,
    (1, True): mpscnn.correlate1d,
    (2, False): mpscnn.convolve2d,
    (2, True): mpscnn.correlate2d,
}
# The fixture checks for remaining objects once after all examples of a test.
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
seeds = st.integers(0, 2**32 - 1)
modes = st.sampled_from(["full", "same", "valid"])
boundaries = st.sampled_from(["zero", "clamp"])


def check(
    seed: int, signal: tuple[int, ...], kernel: tuple[int, ...], mode: str, boundary: str, correlate: bool
) -> None:
    random = np.random.default_rng(seed)
    x, taps = random.normal(size=signal).astype(np.float32), random.normal(size=kernel).astype(np.float32)
    result = FUNCTIONS[len(kernel), correlate](x, taps, mode, boundary, device="metal")
    reference, magnitude = convolve(x, taps, mode, boundary, correlate=correlate)
    assert result.dtype == np.float32
    assert_close(result, reference, LINEAR_FACTOR * float(np.finfo(np.float32).eps) * magnitude + 1e-37)


@many
@given(
    seeds, st.integers(1, 400), st.integers(1, 40), st.sampled_from([(), (1,), (3,), (2, 3)]),
    modes, boundaries, st.booleans(),
)  # fmt: skip
def test_one_axis(
    seed: int, size: int, taps: int, batch: tuple[int, ...], mode: str, boundary: str, correlate: bool
) -> None:
    check(seed, (*batch, max(size, taps) if mode == "valid" else size), (taps,), mode, boundary, correlate)


@many
@given(
    seeds, st.tuples(st.integers(1, 9), st.integers(1, 60)), st.tuples(st.integers(1, 5), st.integers(1, 7)),
    st.sampled_from([(), (2,)]), modes, boundaries, st.booleans(),
)  # fmt: skip
def test_two_axes(
    seed: int, size: tuple[int, int], taps: tuple[int, int], batch: tuple[int, ...], mode: str, boundary: str,
    correlate: bool,
) -> None:  # fmt: skip
    if mode == "valid":
        size = max(size[0], taps[0]), max(size[1], taps[1])
    check(seed, (*batch, *size), taps, mode, boundary, correlate)


def test_taps_beyond_the_border_are_left_out_even_if_infinite() -> None:
    taps = np.array([1, np.inf], np.float32)
    result = mpscnn.convolve1d(np.ones(3, np.float32), taps, device="metal")
    np.testing.assert_array_equal(result, [1, np.inf, np.inf, np.inf])


def test_nan_stays_within_its_windows() -> None:
    x = np.ones(50, np.float32)
    x[20] = np.nan
    result = mpscnn.convolve1d(x, np.ones(3, np.float32), device="metal")
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result)), [20, 21, 22])


def test_float64_is_refused() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="Metal computes in float32 and has no float64"):
        mpscnn.convolve1d(np.ones(3), [1, 2], device="metal")


def test_unknown_device() -> None:
    with pytest.raises(mpscnn.ParameterError, match="device must be auto, cpu, metal"):
        mpscnn.convolve1d(np.ones(3, np.float32), [1], device="abacus")
    assert mpscnn.convolve1d(np.ones(3, np.float32), [2], device="gpu").tolist() == [2, 2, 2]
