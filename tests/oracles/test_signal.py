"""Compare the convolution of signals with numpy and scipy."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import mpscnn

signal = pytest.importorskip("scipy.signal", reason="scipy is not installed")
ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is not installed")

seeds = st.integers(0, 2**32 - 1)
modes = st.sampled_from(["full", "same", "valid"])


@given(seeds, st.integers(1, 200), st.integers(1, 30), modes)
def test_one_axis(seed: int, size: int, taps: int, mode: str) -> None:
    random = np.random.default_rng(seed)
    x, kernel = random.normal(size=max(size, taps)), random.normal(size=taps)
    expected = signal.convolve(x, kernel, mode, method="direct")
    np.testing.assert_allclose(mpscnn.convolve1d(x, kernel, mode), expected, rtol=0, atol=1e-13)
    expected = signal.correlate(x, kernel, mode, method="direct")
    np.testing.assert_allclose(mpscnn.correlate1d(x, kernel, mode), expected, rtol=0, atol=1e-13)
    if mode == "full":
        np.testing.assert_allclose(mpscnn.convolve1d(x, kernel), np.convolve(x, kernel), rtol=0, atol=1e-13)


@given(seeds, st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.integers(1, 5), modes)
def test_two_axes(seed: int, height: int, width: int, rows: int, columns: int, mode: str) -> None:
    random = np.random.default_rng(seed)
    x, kernel = (
        random.normal(size=(max(height, rows), max(width, columns))),
        random.normal(size=(rows, columns)),
    )
    np.testing.assert_allclose(
        mpscnn.convolve2d(x, kernel, mode), signal.convolve2d(x, kernel, mode), rtol=0, atol=1e-13
    )
    np.testing.assert_allclose(
        mpscnn.correlate2d(x, kernel, mode),
        signal.correlate(x, kernel, mode, method="direct"),
        rtol=0,
        atol=1e-13,
    )


@given(seeds, st.integers(1, 50), st.integers(1, 9))
def test_clamped_border(seed: int, size: int, taps: int) -> None:
    random = np.random.default_rng(seed)
    x, kernel = random.normal(size=size), random.normal(size=taps)
    # The middle of a kernel with an even number of taps lies one sample further right in ndimage.
    expected = ndimage.convolve1d(x, kernel, mode="nearest", origin=-1 if taps % 2 == 0 else 0)
    np.testing.assert_allclose(mpscnn.convolve1d(x, kernel, "same", "clamp"), expected, rtol=0, atol=1e-13)
