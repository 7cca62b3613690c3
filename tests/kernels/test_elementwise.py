"""Test kernels whose pixels depend on the pixel at the same place: arithmetic, neurons, softmax, slices."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import Call, Window, calls, encode, normal
from ops.single_layer import seeds
from tolerance import (
    ELEMENTWISE_ULPS,
    SOFTMAX_ULPS,
    assert_close,
    ulp_bound,
)

import mpscnn
from mpscnn import kernels

ONE = Window()


def expected(call: Call, x: Any, before: Any, function: Any) -> Any:
    """Return the destination with function(channels of a source pixel) in each pixel that the kernel writes."""
    return call.apply(np.asarray(x, np.float64), ONE, ONE, before, lambda taps, v, u: function(taps[0, 0]))


@given(calls(), seeds)
def test_slice(call: Call, seed: int) -> None:
    x, before = normal(seed, call.source), normal(seed + 1, call.destination)
    result = encode(kernels.Slice(**call.common()), x, destination=before)
    assert_close(result, expected(call, x, before, lambda pixel: pixel), 0.0)


@given(calls(), seeds, st.booleans())
def test_softmax(call: Call, seed: int, logarithm: bool) -> None:
    x, before = normal(seed, call.source), normal(seed + 1, call.destination)
    kernel = kernels.LogSoftMax(**call.common()) if logarithm else kernels.SoftMax(**call.common())

    def function(pixel: Any) -> Any:
        shifted = pixel - pixel.max()
        log = shifted - np.log(np.exp(shifted).sum())
        return log if logarithm else np.exp(log)

    reference = expected(call, x, before, function)
    bound = ulp_bound(np.abs(reference) + (10.0 if logarithm else 0.0), SOFTMAX_ULPS)
    assert_close(encode(kernel, x, destination=before), reference, bound)


def test_neurons_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="data_count must be 0 unless neuron_type is prelu"):
        kernels.Neuron(kernels.NeuronDescriptor("relu", data=[1.0]))
    with pytest.raises(mpscnn.ParameterError, match="data_count must be 1 to"):
        kernels.Neuron(kernels.NeuronDescriptor("prelu"))
    with pytest.raises(mpscnn.ParameterError, match="expected a NeuronDescriptor, got str"):
        kernels.Neuron("relu")  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ShapeError, match="there are slopes for 3 feature channels, the source has 7"):
        encode(kernels.NeuronPReLU([1.0, 2.0, 3.0]), normal(0, (2, 2, 7)))
    with pytest.raises(mpscnn.ParameterError, match="neuron_type must be relu, got tanh"):
        mpscnn._core.Kernel("NeuronReLU", '{"neuron_descriptor": {"neuron_type": "tanh"}}')


def test_arithmetic_with_offsets_and_ranges() -> None:
    x, y, before = normal(0, (2, 5, 6, 8)), normal(1, (3, 4, 7, 12)), normal(2, (1, 4, 4, 12))
    kernel = kernels.Subtract(
        primary_offset=(1, 2, 1),
        secondary_offset=(-1, 2, 2),
        primary_source_feature_channel_offset=4,
        secondary_source_feature_channel_offset=8,
        destination_feature_channel_offset=4,
        clip_rect=(1, 1, 2, 9),
    )
    padded = np.pad(y[2], ((0, 3), (1, 0), (0, 0)))
    reference = before.astype(np.float64).copy()
    primary = np.pad(x[1], ((0, 3), (0, 0), (0, 0)))
    reference[0, 1:4, 1:3, 4:8] = primary[2:5, 1:3, 4:8].astype(np.float64) - padded[2:5, 0:2, 8:12]
    assert_close(encode(kernel, x, y, destination=before), reference, ulp_bound(reference, ELEMENTWISE_ULPS))


def test_arithmetic_that_does_not_fit_is_refused() -> None:
    x, y = normal(0, (2, 2, 8)), normal(1, (2, 2, 4))
    with pytest.raises(mpscnn.ShapeError, match="one number of feature channels, got 8 and 4"):
        encode(kernels.Add(), x, y)
    with pytest.raises(mpscnn.ParameterError, match="both strides of an axis are 0"):
        encode(kernels.Add(primary_stride_x=0, secondary_stride_x=0), x, x, destination=x)


COMPARISONS: dict[str, Any] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_or_equal": np.less_equal,
    "greater": np.greater,
    "greater_or_equal": np.greater_equal,
}


@given(st.sampled_from(sorted(COMPARISONS)), seeds)
def test_comparisons(kind: str, seed: int) -> None:
    """NaN is not equal to any number. Scales and broadcasting work as in arithmetic."""
    x, y = (np.round(normal(seed + i, (2, 3, 4, 5)) * 2) for i in range(2))
    x[0, 0, 0, 0] = y[0, 0, 1, 0] = np.nan
    x[0, 0, 2, 0] = y[0, 0, 2, 0] = np.inf
    found = encode(kernels.Compare(kind, primary_scale=2.0, secondary_scale=-1.0), x, y)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, COMPARISONS[kind](2 * x, -y).astype(np.float32))
    one = kernels.Compare(kind, secondary_stride_x=0, secondary_stride_y=0, bias=0.5)  # type: ignore[arg-type]
    expected = COMPARISONS[kind](x, y[:, :1, :1]) + 0.5
    np.testing.assert_array_equal(encode(one, x, y), expected.astype(np.float32))


@pytest.mark.parametrize("kind", ["equal", "not_equal"])
def test_values_within_the_threshold_are_equal(kind: str) -> None:
    x = np.array([0, 0.5, 1, 1.5, -1.5, np.nan, np.inf, -2], np.float32).reshape(1, 2, 4, 1)
    y = np.array([1, 1, 1, 0.5, -0.5, 1, 1, 2], np.float32).reshape(1, 2, 4, 1)
    kernel = kernels.Compare(kind, threshold=1.0)  # type: ignore[arg-type]
    with np.errstate(invalid="ignore"):
        within = np.abs(x.astype(np.float64) - y) <= 1.0
    expected = within if kind == "equal" else ~within
    np.testing.assert_array_equal(encode(kernel, x, y), expected.astype(np.float32))
    tight = kernels.Compare(kind, threshold=float(np.nextafter(np.float32(1), np.float32(0))))  # type: ignore[arg-type]
    assert encode(tight, x, y)[0, 0, 0, 0] == float(kind == "not_equal")
