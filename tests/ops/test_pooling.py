"""Max, average and L2-norm pooling against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference.pooling import pooling
from reference.window import positions
from tolerance import assert_close, linear_bound, needs_promise_about_nan

import mpscnn

KINDS = ["max", "average", "l2_norm"]


@given(st.data(), seeds, precisions(), st.sampled_from(KINDS))
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
        if not attributes["count_padding"]:
            attributes |= {side: data.draw(st.integers(0, 3)) for side in ("zero_pad_y", "zero_pad_x")}
    check(x, attributes, precision)


def check(x: NDArray[np.float32], attributes: dict[str, Any], precision: str) -> None:
    reference = pooling(x, attributes)
    bounds = {
        "max": 0.0,
        "average": linear_bound(pooling(np.abs(x), attributes)),
        "l2_norm": linear_bound(
            reference
        ),  # squares and their root: half the sum's relative error and the root's
    }
    result = run_layer("pooling", [x], attributes, precision=precision)
    half = precision == "float16" and attributes["kind"] != "max"
    assert_close(result, reference, bounds[attributes["kind"]], half=half)


@given(st.data(), seeds, precisions(), st.sampled_from(KINDS), st.sampled_from(["zero", "clamp"]))
def test_edges(data: st.DataObject, seed: int, precision: str, kind: str, edge: str) -> None:
    """Windows anywhere, wholly outside the image too."""
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    x = values(seed, (2, height, width, data.draw(st.integers(1, 19))), precision=precision)
    attributes: dict[str, Any] = {"kind": kind, "edge": edge, "padding": "explicit"}
    axes = (("height", "y", "top", "bottom", height), ("width", "x", "left", "right", width))
    for side, suffix, before, after, size in axes:
        kernel, dilation = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
        outputs, reach = data.draw(st.integers(1, 6)), (kernel - 1) * dilation + 1
        stride, first = data.draw(st.integers(1, 3)), data.draw(st.integers(-reach - 3, size))
        attributes |= {f"kernel_{side}": kernel, f"dilation_{suffix}": dilation, f"stride_{suffix}": stride}
        attributes |= {f"pad_{before}": -first, f"pad_{after}": first + (outputs - 1) * stride + reach - size}
    if kind == "average" and edge == "clamp":
        attributes |= {side: data.draw(st.integers(0, 3)) for side in ("zero_pad_y", "zero_pad_x")}
    check(x, attributes, precision)


def every_window_touches(attributes: dict[str, Any], height: int, width: int) -> bool:
    """Windows in the padding, and dilated ones that step over a small image, hold nothing."""
    rows, columns = positions(attributes, height, width)
    return all(any(0 <= tap < height for tap in taps) for taps in rows) and all(
        any(0 <= tap < width for tap in taps) for taps in columns
    )


@given(st.integers(1, 15), st.integers(1, 15), st.integers(1, 130), seeds, st.sampled_from(KINDS))
def test_global(height: int, width: int, channels: int, seed: int, kind: str) -> None:
    x = values(seed, (2, height, width, channels))
    check(x, {"kind": kind, "global": True}, "float32")


@needs_promise_about_nan
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("max", marks=pytest.mark.cpu("what MPSCNNPoolingMax does with NaN is not documented")),
        "average",
        "l2_norm",
    ],
)
@pytest.mark.parametrize(("stride", "reached"), [(2, 1), (1, 4)])
@pytest.mark.parametrize("channel", [3, 8])
def test_nan_passes_through(kind: str, stride: int, reached: int, channel: int) -> None:
    x = values(0, (1, 9, 9, 9))
    x[0, 4, 4, channel] = np.nan
    x[0, 0, 0, channel] = np.inf  # is not NaN
    attributes = {"kind": kind, "kernel_height": 2, "kernel_width": 2, "stride_y": stride, "stride_x": stride}
    result = run_layer("pooling", [x], attributes)
    assert np.isnan(result).sum() == reached
    assert np.isnan(result[0, 4 // stride, 4 // stride, channel])
    assert result[0, 0, 0, channel] == np.inf


def test_a_maximum_never_comes_from_the_padding() -> None:
    x = -1.0 - np.abs(values(0, (1, 3, 3, 8)))
    result = run_layer(
        "pooling", [x], {"kind": "max", "kernel_height": 3, "kernel_width": 3, "padding": "same"}
    )
    assert (result < -1.0).all()


def test_edges_of_a_known_image() -> None:
    """Apple's measured average with zeros outside: 2 x 2 windows around the corners of 1 ... 9."""
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    sides = dict.fromkeys(("pad_top", "pad_left"), 1)
    window = {"kernel_height": 2, "kernel_width": 2, "padding": "explicit", **sides}
    zero = run_layer("pooling", [x], {"kind": "average", "edge": "zero", **window})
    np.testing.assert_allclose(zero[0, :, :, 0], [[0.25, 0.75, 1.25], [1.25, 3, 4], [2.75, 6, 7]])
    clamp = run_layer("pooling", [x], {"kind": "average", "edge": "clamp", **window})
    np.testing.assert_allclose(clamp[0, :, :, 0], [[1, 1.5, 2.5], [2.5, 3, 4], [5.5, 6, 7]])
    largest = run_layer("pooling", [-x], {"kind": "max", "edge": "zero", **window})
    np.testing.assert_array_equal(largest[0, :, :, 0], [[0, 0, 0], [0, -1, -2], [0, -4, -5]])


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
        ({"kind": "median"}, "must be one of max, average, l2_norm"),
        ({"edge": "mirror"}, "must be one of zero, clamp, exclude"),
        ({"zero_pad_x": 1}, "zero_pad_x must be 0 unless kind is average, got 1"),
        ({"kind": "average", "zero_pad_y": -1}, "zero_pad_y must be 0 to"),
        ({"kind": "average", "zero_pad_y": 1, "edge": "zero"}, "zero_pad_y must be 0 with edge zero"),
        (
            {"kind": "average", "zero_pad_y": 1, "count_padding": True},
            "zero_pad_y must be 0 with count_padding",
        ),
        (
            {"kind": "average", "count_padding": True, "edge": "clamp"},
            "count_padding must be false unless edge is exclude",
        ),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("pooling", [network.input], attributes)


@pytest.mark.parametrize("edge", ["exclude", "clamp"])
def test_enormous_windows_are_described_and_run(edge: str) -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    largest = {"kernel_height": 1 << 24, "kernel_width": 1 << 24, "padding": "same", "edge": edge}
    network.output(network.layer("pooling", [network.input], largest))
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype(np.float32)
    result = network.compile(device="cpu", precision="float32").session().run(x)
    np.testing.assert_array_equal(result, np.broadcast_to(x.max(axis=(1, 2), keepdims=True), x.shape))
    assert network.describe()["layers"][0]["flops"] == 5 * 5 * 3 << 48
