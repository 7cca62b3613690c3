"""Max and average pooling against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference.pooling import pooling
from reference.window import positions
from tolerance import assert_close, linear_bound

import mpscnn


@given(st.data(), seeds, precisions(), st.sampled_from(["max", "average"]))
def test_windows(data: st.DataObject, seed: int, precision: str, kind: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 11), st.integers(1, 11)))
    x = values(seed, (batch, height, width, data.draw(st.integers(1, 37))), precision=precision)
    attributes = data.draw(windows(height, width)) | {"kind": kind}
    if not every_window_touches(attributes, height, width):
        with pytest.raises(mpscnn.ShapeError, match="only padding"):
            run_layer("pooling", [x], attributes)
        return
    if kind == "average":
        attributes["count_padding"] = data.draw(st.booleans())
    reference = pooling(x, attributes)
    bound = 0.0 if kind == "max" else linear_bound(pooling(np.abs(x), attributes))
    result = run_layer("pooling", [x], attributes, precision=precision)
    assert_close(result, reference, bound, half=precision == "float16" and kind == "average")


def every_window_touches(attributes: dict[str, Any], height: int, width: int) -> bool:
    """Windows in the padding, and dilated ones that step over a small image, hold nothing."""
    rows, columns = positions(attributes, height, width)
    return all(any(0 <= tap < height for tap in taps) for taps in rows) and all(
        any(0 <= tap < width for tap in taps) for taps in columns
    )


@given(
    st.integers(1, 15), st.integers(1, 15), st.integers(1, 130), seeds, st.sampled_from(["max", "average"])
)
def test_global(height: int, width: int, channels: int, seed: int, kind: str) -> None:
    x = values(seed, (2, height, width, channels))
    attributes = {"kind": kind, "global": True}
    result = run_layer("pooling", [x], attributes)
    assert_close(result, pooling(x, attributes), linear_bound(pooling(np.abs(x), attributes)))


@pytest.mark.parametrize("kind", ["max", "average"])
def test_nan_passes_through(kind: str) -> None:
    x = values(0, (1, 4, 4, 9))
    x[0, 1, 1, 3] = np.nan
    attributes = {"kind": kind, "kernel_height": 2, "kernel_width": 2, "stride_y": 2, "stride_x": 2}
    result = run_layer("pooling", [x], attributes)
    assert np.isnan(result).sum() == 1
    assert np.isnan(result[0, 0, 0, 3])


def test_a_maximum_never_comes_from_the_padding() -> None:
    x = -1.0 - np.abs(values(0, (1, 3, 3, 8)))
    result = run_layer(
        "pooling", [x], {"kind": "max", "kernel_height": 3, "kernel_width": 3, "padding": "same"}
    )
    assert (result < -1.0).all()


def test_average_of_infinity_is_infinity() -> None:
    x = np.full((1, 2, 2, 3), np.inf, np.float32)
    assert np.isinf(run_layer("pooling", [x], {"kind": "average", "global": True})).all()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"global": True, "kernel_height": 2}, "global must be false"),
        ({"kernel_height": 2, "padding": "explicit", "pad_top": 2}, "window 0 covers none of the 5 rows"),
        ({"kernel_width": 2, "padding": "explicit", "pad_right": 2}, "window 5 covers none of the 5 columns"),
        (
            {"kernel_height": 3, "dilation_y": 7, "padding": "explicit", "pad_top": 10, "pad_bottom": 5},
            "window 1 covers none of the 5 rows",
        ),
        ({"kind": "median"}, "must be one of max, average"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("pooling", [network.input], attributes)


def test_enormous_windows_are_described_and_run() -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    largest = {"kernel_height": 1 << 24, "kernel_width": 1 << 24, "padding": "same"}
    network.output(network.layer("pooling", [network.input], largest))
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype(np.float32)
    result = network.compile(device="cpu", precision="float32").session().run(x)
    np.testing.assert_array_equal(result, np.broadcast_to(x.max(axis=(1, 2), keepdims=True), x.shape))
    assert network.describe()["layers"][0]["flops"] == 5 * 5 * 3 << 48
