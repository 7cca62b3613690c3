"""Gradients of convolutions against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_training, seeds, values, windows
from reference import window
from reference.convolution_gradient import data_gradient, weight_gradient
from tolerance import linear_bound

import mpscnn


def check(shape: tuple[int, ...], attributes: dict[str, Any], seed: int, threads: int = 1) -> None:
    """Compare the data and weight gradients of a convolution with the reference."""
    rows, columns = window.positions(attributes, shape[1], shape[2])
    groups, outputs = attributes["groups"], attributes["output_channels"]
    kernel = attributes.get("kernel_height", 1), attributes.get("kernel_width", 1)
    x = values(seed, shape)
    gradient = values(seed + 1, (shape[0], len(rows), len(columns), outputs))
    weight = values(seed + 2, (outputs, *kernel, shape[3] // groups))
    result = run_training("convolution_data_gradient", [gradient, weight, x], attributes, threads=threads)
    bound = linear_bound(data_gradient(np.abs(gradient), np.abs(weight), x, attributes))
    assert (np.abs(result - data_gradient(gradient, weight, x, attributes)) <= bound).all()
    result = run_training("convolution_weight_gradient", [x, gradient], attributes, threads=threads)
    bound = linear_bound(weight_gradient(np.abs(x), np.abs(gradient), attributes))
    assert (np.abs(result - weight_gradient(x, gradient, attributes)) <= bound).all()


@given(st.data(), seeds)
def test_dense_and_grouped(data: st.DataObject, seed: int) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    groups = data.draw(st.integers(1, 3))
    inputs, outputs = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 19))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": outputs * groups, "groups": groups}
    check((batch, height, width, inputs * groups), attributes, seed, 1 + seed % 3)


@given(st.data(), seeds, st.integers(2, 70), st.integers(1, 2))
def test_depthwise(data: st.DataObject, seed: int, channels: int, multiplier: int) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": channels * multiplier, "groups": channels}
    check((batch, height, width, channels), attributes, seed, 1 + seed % 3)


LARGE = {
    "5 x 5": ((3, 40, 40, 20), {"kernel_height": 5, "kernel_width": 5, "padding": "same"}, 30, 1),
    "1 x 1": ((2, 48, 48, 48), {}, 40, 1),
    "1 x 1 of one part": ((2, 20, 20, 96), {}, 70, 1),
    "depthwise": ((2, 47, 49, 40), {"kernel_height": 3, "kernel_width": 3, "padding": "same"}, 40, 40),
    "many taps": ((2, 9, 9, 130), {"kernel_height": 3, "kernel_width": 3}, 20, 1),
}


@pytest.mark.parametrize("case", LARGE)
def test_many_pixels(case: str) -> None:
    """Sums over many pixels are divided into parts, and have the same bits for any number of threads."""
    shape, window_attributes, outputs, groups = LARGE[case]
    attributes = {**window_attributes, "output_channels": outputs, "groups": groups}
    rows, columns = window.positions(attributes, shape[1], shape[2])
    x, gradient = values(0, shape), values(1, (shape[0], len(rows), len(columns), outputs))
    result = run_training("convolution_weight_gradient", [x, gradient], attributes)
    expected = weight_gradient(x, gradient, attributes)
    magnitude = weight_gradient(np.abs(x), np.abs(gradient), attributes)
    assert (np.abs(result - expected) <= 1e-6 * magnitude).all()
    for threads in (2, 3, 8):
        again = run_training("convolution_weight_gradient", [x, gradient], attributes, threads=threads)
        np.testing.assert_array_equal(result, again)


def test_shapes_that_do_not_fit() -> None:
    attributes = {"output_channels": 4, "kernel_height": 3, "kernel_width": 3}
    x, gradient = np.ones((1, 5, 5, 2), np.float32), np.ones((1, 4, 4, 4), np.float32)
    message = r"the gradient, must have the shape \(1, 3, 3, 4\), got \(1, 4, 4, 4\)"
    with pytest.raises(mpscnn.ShapeError, match=message):
        run_training("convolution_weight_gradient", [x, gradient], attributes)
    weight = np.ones((4, 3, 3, 1), np.float32)
    with pytest.raises(mpscnn.ShapeError, match=r"the weight, must have the shape \(4, 3, 3, 2\)"):
        run_training("convolution_data_gradient", [gradient[:, :3, :3], weight, x], attributes)
