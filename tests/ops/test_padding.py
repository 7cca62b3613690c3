"""Padding."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values
from reference.convolution import convolution
from reference.padding import padding
from tolerance import assert_close, linear_bound

import mpscnn

SIDES = ("top", "bottom", "left", "right", "front", "back")


@given(st.tuples(*[st.integers(0, 4)] * 6), st.integers(1, 20), st.floats(-3, 3, width=16), seeds)
def test_every_side(amounts: tuple[int, ...], channels: int, value: float, seed: int) -> None:
    x = values(seed, (2, 3, 5, channels))
    attributes: dict[str, Any] = {**dict(zip(SIDES, amounts, strict=True)), "value": value}
    np.testing.assert_array_equal(
        run_layer("padding", [x], attributes), padding(x, attributes).astype(np.float32)
    )


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_before_a_convolution(value: float) -> None:
    """Zeros may be left to the convolution's own window; anything else may not."""
    x, weight = values(0, (1, 5, 6, 3)), values(1, (7, 3, 3, 3))
    network = mpscnn.Network(input=(5, 6, 3))
    y = network.pad(network.input, ((0, 1), (2, 1)), value=value)
    network.output(network.conv2d(y, 7, 3, strides=2, name="conv"))
    network.load_weights({"conv.weight": weight})
    padded = padding(x, {"bottom": 1, "left": 2, "right": 1, "value": value})
    attributes = {"kernel_height": 3, "kernel_width": 3, "stride_y": 2, "stride_x": 2}
    reference, magnitude = convolution(padded, weight, None, attributes)
    assert_close(network.compile(precision="float32").session().run(x), reference, linear_bound(magnitude))


def test_negative_padding_is_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match="top must be 0 to"):
        network.layer("padding", [network.input], {"top": -1})
