"""Tests of the convolution of signals on every device against the definition, and of refused arguments."""

from __future__ import annotations

import doctest
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import seeds
from reference.signal import convolve
from tolerance import LINEAR_FACTOR, assert_close

import mpscnn
import mpscnn.signal

modes = st.sampled_from(["full", "same", "valid"])
boundaries = st.sampled_from(["zero", "clamp"])
types = st.sampled_from([np.float32, np.float64])

FUNCTIONS = {
    (1, False): mpscnn.convolve1d,
    (1, True): mpscnn.correlate1d,
    (2, False): mpscnn.convolve2d,
    (2, True): mpscnn.correlate2d,
}


def check(
    seed: int, signal: tuple[int, ...], kernel: tuple[int, ...], mode: str, boundary: str, correlate: bool,
    dtype: type, device: str,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    x, taps = random.normal(size=signal).astype(dtype), random.normal(size=kernel).astype(dtype)
    function = FUNCTIONS[len(kernel), correlate]
    if device == "metal" and dtype == np.float64:
        with pytest.raises(mpscnn.UnsupportedError, match="Metal computes in float32 and has no float64"):
            function(x, taps, mode, boundary, device=device)
        return
    result = function(x, taps, mode, boundary, device=device)
    reference, magnitude = convolve(x, taps, mode, boundary, correlate=correlate)
    assert result.dtype == dtype
    assert_close(result, reference, LINEAR_FACTOR * float(np.finfo(dtype).eps) * magnitude + 1e-37)


@given(
    seeds, st.integers(1, 400), st.integers(1, 40), st.sampled_from([(), (1,), (3,), (2, 3)]),
    modes, boundaries, st.booleans(), types,
)  # fmt: skip
def test_one_axis(
    chosen_device: str,
    seed: int,
    size: int,
    taps: int,
    batch: tuple[int, ...],
    mode: str,
    boundary: str,
    correlate: bool,
    dtype: type,
) -> None:
    if mode == "valid":
        size = max(size, taps)
    check(seed, (*batch, size), (taps,), mode, boundary, correlate, dtype, chosen_device)


@given(
    seeds, st.tuples(st.integers(1, 40), st.integers(1, 60)), st.tuples(st.integers(1, 5), st.integers(1, 7)),
    st.sampled_from([(), (2,)]), modes, boundaries, st.booleans(), types,
)  # fmt: skip
def test_two_axes(
    chosen_device: str, seed: int, size: tuple[int, int], taps: tuple[int, int], batch: tuple[int, ...],
    mode: str, boundary: str, correlate: bool, dtype: type,
) -> None:  # fmt: skip
    if mode == "valid":
        size = max(size[0], taps[0]), max(size[1], taps[1])
    check(seed, (*batch, *size), taps, mode, boundary, correlate, dtype, chosen_device)


def test_documented_examples() -> None:
    failed, tried = doctest.testmod(mpscnn.signal)
    assert tried >= 4
    assert failed == 0


def test_a_position_in_the_batch_changes_no_bit() -> None:
    x = np.random.default_rng(0).normal(size=(5, 301)).astype(np.float32)
    taps = np.random.default_rng(1).normal(size=9).astype(np.float32)
    together = mpscnn.convolve1d(x, taps)
    for signal, result in zip(x, together, strict=True):
        np.testing.assert_array_equal(mpscnn.convolve1d(signal, taps), result)


def test_nan_stays_within_its_windows(chosen_device: str) -> None:
    x = np.ones(50, np.float32)
    x[20] = np.nan
    result = mpscnn.convolve1d(x, np.ones(3, np.float32), device=chosen_device)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result)), [20, 21, 22])


def test_taps_beyond_the_border_are_left_out_even_if_infinite(chosen_device: str) -> None:
    taps = np.array([1, np.inf], np.float32)
    result = mpscnn.convolve1d(np.ones(3, np.float32), taps, device=chosen_device)
    np.testing.assert_array_equal(result, [1, np.inf, np.inf, np.inf])


def test_element_types_meet_as_in_numpy() -> None:
    x32, x64 = np.ones(3, np.float32), np.ones(3)
    assert mpscnn.convolve1d(x32, [1, 2]).dtype == np.float32
    assert mpscnn.convolve1d(x32, np.ones(2)).dtype == np.float64
    assert mpscnn.convolve1d(x64, np.ones(2, np.float32)).dtype == np.float64
    assert mpscnn.convolve1d(np.ones(3, np.int16), [1, 2]).dtype == np.float64


def test_arrays_with_gaps_other_byte_order_and_none_of_ours() -> None:
    x = np.arange(20, dtype=np.float32)
    expected = mpscnn.convolve1d(np.ascontiguousarray(x[::3]), [1, 2])
    np.testing.assert_array_equal(mpscnn.convolve1d(x[::3], [1, 2]), expected)
    np.testing.assert_array_equal(mpscnn.convolve1d(x[::3].astype(">f4"), [1, 2]), expected)
    np.testing.assert_array_equal(
        mpscnn.convolve1d(memoryview(np.ascontiguousarray(x[::3])), [1, 2]), expected
    )


@pytest.mark.parametrize(
    ("x", "kernel", "arguments", "error", "message"),
    [
        ([1, 2], [1, 2, 3], {"mode": "valid"}, mpscnn.ShapeError, "kernel no larger than the signal"),
        ([], [1], {}, mpscnn.ShapeError, "must not be empty"),
        ([1], [], {}, mpscnn.ShapeError, "must not be empty"),
        (3.0, [1], {}, mpscnn.ShapeError, "at least 1 axes"),
        ([1, 2], [[1, 2]], {}, mpscnn.ShapeError, "kernel must have 1 axes"),
        ([1j, 2], [1], {}, mpscnn.ShapeError, "complex128"),
        (np.ones(3, np.float16), [1], {}, mpscnn.ShapeError, "float16"),
        ([[1], [1, 2]], [1], {}, mpscnn.ShapeError, "cannot be read"),
        (["a"], [1], {}, mpscnn.ShapeError, "expected float32 or float64"),
        ([1, 2], [1], {"mode": "half"}, mpscnn.ParameterError, "mode must be one of full, same, valid"),
        ([1, 2], [1], {"boundary": "wrap"}, mpscnn.ParameterError, "boundary must be one of zero, clamp"),
        ([1, 2], [1], {"mode": None}, mpscnn.ParameterError, "mode must be one of"),
    ],
)
def test_what_is_refused(
    x: Any, kernel: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mpscnn.convolve1d(x, kernel, **arguments)


def test_names_of_devices_are_those_of_programs(chosen_device: str) -> None:
    if chosen_device == "metal":
        assert mpscnn.convolve1d(np.ones(3, np.float32), [2], device="gpu").tolist() == [2, 2, 2]
    np.testing.assert_array_equal(mpscnn.convolve1d([1, 2], [3], device="CPU:0"), [3, 6])
    with pytest.raises(mpscnn.ParameterError, match="device 'cuda' is not supported"):
        mpscnn.convolve1d([1, 2], [3], device="cuda")
    with pytest.raises(mpscnn.ParameterError, match="device must be a name"):
        mpscnn.convolve1d([1, 2], [3], device=5)  # type: ignore[arg-type]


def test_results_are_new_arrays() -> None:
    x: NDArray[np.float64] = np.ones(4)
    assert not np.shares_memory(mpscnn.convolve1d(x, [1.0]), x)
