"""Compare pooling kernels with the index rule of Apple's headers."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from kernels.index_rule import Call, Window, calls, encode, normal, windows
from ops.single_layer import seeds
from tolerance import assert_close, linear_bound

import mpscnn
from mpscnn import kernels


@given(calls(), windows(), seeds)
def test_max(call: Call, taps: tuple[Window, Window], seed: int) -> None:
    rows, columns = taps
    x, before = normal(seed, call.source), normal(seed + 1, call.destination)
    kernel = kernels.PoolingMax(
        columns.kernel, rows.kernel, stride_x=columns.stride, stride_y=rows.stride, **call.common()
    )
    reference = call.apply(x, rows, columns, before, lambda taps, v, u: taps.max(axis=(0, 1)))
    assert_close(encode(kernel, x, destination=before), reference, 0.0)


@given(calls(), windows(dilated=True), seeds)
def test_dilated_max(call: Call, taps: tuple[Window, Window], seed: int) -> None:
    rows, columns = taps
    x, before = normal(seed, call.source), normal(seed + 1, call.destination)
    kernel = kernels.DilatedPoolingMax(
        columns.kernel,
        rows.kernel,
        columns.dilation,
        rows.dilation,
        stride_x=columns.stride,
        stride_y=rows.stride,
        **call.common(),
    )
    reference = call.apply(x, rows, columns, before, lambda taps, v, u: taps.max(axis=(0, 1)))
    assert_close(encode(kernel, x, destination=before), reference, 0.0)


@given(calls(), windows(), seeds)
def test_l2_norm(call: Call, taps: tuple[Window, Window], seed: int) -> None:
    rows, columns = taps
    x, before = normal(seed, call.source), normal(seed + 1, call.destination)
    kernel = kernels.PoolingL2Norm(
        columns.kernel, rows.kernel, stride_x=columns.stride, stride_y=rows.stride, **call.common()
    )
    norm = call.apply(x, rows, columns, before, lambda taps, v, u: np.sqrt((taps**2).sum(axis=(0, 1))))
    assert_close(encode(kernel, x, destination=before), norm, linear_bound(np.abs(norm)))


@given(calls(), windows(), seeds, st.integers(0, 2), st.integers(0, 2))
def test_average(call: Call, taps: tuple[Window, Window], seed: int, pad_x: int, pad_y: int) -> None:
    """With edge mode "zero" an average counts all taps; with "clamp" those in the image and its zero padding."""
    rows, columns = taps
    height, width = call.source[1:3]
    x, before = normal(seed, call.source), normal(seed + 1, call.destination)
    kernel = kernels.PoolingAverage(
        columns.kernel,
        rows.kernel,
        stride_x=columns.stride,
        stride_y=rows.stride,
        zero_pad_size_x=pad_x,
        zero_pad_size_y=pad_y,
        **call.common(),
    )
    shrinks = call.edge_mode == "clamp"
    # Pixels outside contribute 0 to the sum in both modes.
    zeros = Call(**{**vars(call), "edge_mode": "zero"})

    def mean(taps: Any, vertical: list[int], horizontal: list[int]) -> Any:
        counted = taps.shape[0] * taps.shape[1]
        if shrinks:
            inside_y = sum(-pad_y <= tap < height + pad_y for tap in vertical)
            inside_x = sum(-pad_x <= tap < width + pad_x for tap in horizontal)
            counted = max(inside_y * inside_x, 1)
        return taps.sum(axis=(0, 1)) / counted

    reference = zeros.apply(x, rows, columns, before, mean)
    bound = linear_bound(zeros.apply(np.abs(x), rows, columns, np.abs(before), mean))
    assert_close(encode(kernel, x, destination=before), reference, bound)


@given(st.integers(1, 9), st.integers(1, 9), windows(), st.sampled_from([0x10, 0x1C, 0x20]), seeds)
def test_an_average_that_excludes_edges_is_caffes(
    height: int, width: int, taps: tuple[Window, Window], method: int, seed: int
) -> None:
    """As in Caffe, an average counts the taps in the image and its padding, which is equal on both sides."""
    rows, columns = taps
    x = normal(seed, (1, height, width, 3))
    kernel = kernels.PoolingAverage(
        columns.kernel,
        rows.kernel,
        stride_x=columns.stride,
        stride_y=rows.stride,
        padding=mpscnn.DefaultPadding(mpscnn.PaddingMethod.EXCLUDE_EDGES | method),
    )
    result = encode(kernel, x)
    pads = [
        max(0, -window.taps(o, 0)[0]) for window, o in ((rows, kernel.offset[1]), (columns, kernel.offset[0]))
    ]

    def mean(taps: Any, vertical: list[int], horizontal: list[int]) -> Any:
        counted = sum(tap < height + pads[0] for tap in vertical) * sum(
            tap < width + pads[1] for tap in horizontal
        )
        return taps.sum(axis=(0, 1)) / max(counted, 1)

    call = Call(x.shape, result.shape, kernel.offset)
    reference = call.apply(x, rows, columns, np.zeros(result.shape), mean)
    bound = linear_bound(call.apply(np.abs(x), rows, columns, np.zeros(result.shape), mean))
    assert_close(result, reference, bound)
    assert (kernel.edge_mode, kernel.zero_pad_size_y, kernel.zero_pad_size_x) == ("clamp", *pads)


def test_other_poolings_have_no_divisor_to_exclude_edges_from() -> None:
    padding = mpscnn.DefaultPadding(mpscnn.PaddingMethod.EXCLUDE_EDGES | mpscnn.PaddingMethod.SIZE_SAME)
    kernel = kernels.PoolingL2Norm(2, 2, padding=padding)
    x = normal(0, (1, 4, 4, 3))
    np.testing.assert_array_equal(encode(kernel, x), encode(kernels.PoolingL2Norm(2, 2), x))
    assert kernel.edge_mode == "zero"
