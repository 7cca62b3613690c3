"""Padding."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.convolution import convolution
from reference.padding import padding
from tolerance import assert_close, linear_bound

import mpscnn

SIDES = ("top", "bottom", "left", "right", "front", "back")


MODES = ["constant", "clamp", "mirror", "mirror_with_edge"]


@given(
    st.tuples(*[st.integers(-2, 9)] * 6),
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20)),
    st.sampled_from(MODES),
    st.booleans(),
    seeds,
    precisions(),
)
def test_every_side(
    amounts: tuple[int, ...],
    size: tuple[int, int, int],
    mode: str,
    per_channel: bool,
    seed: int,
    precision: str,
) -> None:
    x = values(seed, (2, *size), precision=precision)
    attributes: dict[str, Any] = {**dict(zip(SIDES, amounts, strict=True)), "mode": mode}
    rest = [extent + sum(amounts[2 * axis : 2 * axis + 2]) for axis, extent in enumerate(size)]
    if min(rest) < 1:
        with pytest.raises(mpscnn.ShapeError, match=r"padding: .* leave nothing of"):
            run_layer("padding", [x], attributes, precision=precision)
        return
    if mode == "constant" and per_channel:
        attributes["values"] = [0.5 * channel - 3 for channel in range(rest[2])]
    elif mode == "constant":
        attributes["value"] = 1.25
    np.testing.assert_array_equal(
        run_layer("padding", [x], attributes, precision=precision), padding(x, attributes).astype(np.float32)
    )


def test_reflections_repeat() -> None:
    x = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    mirrored = run_layer("padding", [x], {"left": 4, "right": 1, "mode": "mirror"})
    np.testing.assert_array_equal(mirrored.ravel(), [0, 1, 2, 1, 0, 1, 2, 1])


def test_values_are_halves_in_float16() -> None:
    x = values(0, (1, 2, 2, 2), precision="float16")
    result = run_layer("padding", [x], {"top": 1, "values": [0.1, -1.7]}, precision="float16")
    np.testing.assert_array_equal(result[0, 0, 0], np.array([0.1, -1.7], np.float16).astype(np.float32))


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


@pytest.mark.parametrize(
    "attributes", [{"mode": "clamp"}, {"values": [1.0, 2.0, 3.0]}, {"top": -1, "left": 2}]
)
def test_other_borders_stay_before_a_convolution(attributes: dict[str, Any]) -> None:
    attributes = {"top": 1, "left": 1, "right": 1, "bottom": 1} | attributes
    x, weight = values(0, (1, 5, 6, 3)), values(1, (7, 3, 3, 3))
    network = mpscnn.Network(input=(5, 6, 3))
    y = network.layer("padding", [network.input], attributes)
    network.output(network.conv2d(y, 7, 3, padding=1, name="conv"))
    network.load_weights({"conv.weight": weight})
    window = {"kernel_height": 3, "kernel_width": 3, "padding": "explicit"}
    window |= dict.fromkeys(("pad_top", "pad_bottom", "pad_left", "pad_right"), 1)
    reference, magnitude = convolution(padding(x, attributes), weight, None, window)
    assert_close(network.compile(precision="float32").session().run(x), reference, linear_bound(magnitude))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"top": 1 << 25}, "top must be -16777216 to 16777216"),
        ({"value": 1.0, "mode": "clamp"}, "value must be 0 unless mode is constant"),
        ({"values": [1.0, 2.0]}, "values must be 3, one for each channel of the result, got 2"),
        ({"values": [1.0] * 3, "mode": "mirror"}, "values must be empty unless mode is constant"),
        ({"values": [1e39] * 3}, "values must be finite"),
        ({"values": [1.0] * 3, "value": 2.0}, "value must be 0"),
        ({"mode": "wrap"}, "must be one of constant, clamp, mirror, mirror_with_edge"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.layer("padding", [network.input], attributes)


def test_method() -> None:
    network = mpscnn.Network(input=(2, 2, 1))
    network.output(network.pad(network.input, ((1, 0), (0, 0)), channels=(0, 1), value=[7, 8]))
    network.output(network.pad(network.input, 1, mode="mirror_with_edge"))
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    results = network.compile(precision="float32").session().run(x)
    assert isinstance(results, dict)
    filled, mirrored = results.values()
    np.testing.assert_array_equal(filled[0], [[[7, 8]] * 2, [[0, 8], [1, 8]], [[2, 8], [3, 8]]])
    np.testing.assert_array_equal(mirrored[0, :, :, 0], np.pad(x[0, :, :, 0], 1, mode="symmetric"))
