"""Softmax and its logarithm against the float64 reference."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.softmax import log_softmax, softmax
from tolerance import assert_close, log_softmax_bound, needs_promise_about_nan, softmax_bound


@given(st.integers(1, 1100), st.integers(1, 4), st.floats(0.1, 30.0), seeds, precisions())
def test_vectors_and_pixels(channels: int, pixels: int, scale: float, seed: int, precision: str) -> None:
    x = values(seed, (1, 1, pixels, channels), precision=precision, scale=scale)
    reference = softmax(x)
    bound = softmax_bound(x, reference)
    assert_close(
        run_layer("softmax", [x], {}, precision=precision), reference, bound, half=precision == "float16"
    )


def test_large_values_do_not_overflow() -> None:
    result = run_layer("softmax", [np.array([[1e30, 1e30, -1e30, 0.0]], np.float32)], {})
    np.testing.assert_array_equal(result, [[0.5, 0.5, 0.0, 0.0]])


@needs_promise_about_nan
def test_nan_makes_its_whole_vector_nan() -> None:
    result = run_layer("softmax", [np.array([[0.0, np.nan, 1.0], [0.0, 0.0, 0.0]], np.float32)], {})
    assert np.isnan(result[0]).all()
    assert np.isfinite(result[1]).all()


def test_it_sums_to_one() -> None:
    result = run_layer("softmax", [values(3, (5, 1001), scale=3.0)], {})
    np.testing.assert_allclose(result.sum(axis=1), 1.0, rtol=1e-6)


@given(st.integers(1, 1100), st.integers(1, 4), st.floats(0.1, 30.0), seeds, precisions())
def test_logarithms(channels: int, pixels: int, scale: float, seed: int, precision: str) -> None:
    x = values(seed, (1, 1, pixels, channels), precision=precision, scale=scale)
    reference = log_softmax(x)
    bound = log_softmax_bound(x, reference)
    assert_close(
        run_layer("log_softmax", [x], {}, precision=precision), reference, bound, half=precision == "float16"
    )


def test_logarithms_of_large_values_do_not_overflow() -> None:
    x = np.array([[1e30, 1e30, -1e30, 0.0]], np.float32)
    np.testing.assert_allclose(
        run_layer("log_softmax", [x], {}), [[-np.log(2), -np.log(2), -2e30, -1e30]], rtol=1e-6
    )


@needs_promise_about_nan
def test_logarithm_keeps_nan_and_what_is_impossible() -> None:
    result = run_layer("log_softmax", [np.array([[0.0, np.nan], [-np.inf, 3.0]], np.float32)], {})
    assert np.isnan(result[0]).all()
    np.testing.assert_array_equal(result[1], [-np.inf, 0.0])


def test_logarithm_of_one_channel_is_zero() -> None:
    np.testing.assert_array_equal(run_layer("log_softmax", [values(0, (3, 1))], {}), np.zeros((3, 1)))
