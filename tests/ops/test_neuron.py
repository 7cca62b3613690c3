"""Activation functions, standing alone and attached, against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.neuron import neuron
from tolerance import assert_close, ulp_bound

import mpscnn

numbers = st.floats(-4, 4, width=16)


@given(
    st.sampled_from(["none", "relu", "relun", "linear"]),
    numbers,
    numbers,
    st.integers(1, 40),
    seeds,
    precisions(),
)
def test_functions(kind: str, a: float, b: float, channels: int, seed: int, precision: str) -> None:
    x = values(seed, (2, 3, 5, channels), precision=precision, scale=4.0)
    x[0, 0, 0, 0], x[1, 2, 4, -1] = np.nan, -0.0
    attributes = {"kind": kind, "a": a, "b": b}
    reference = neuron(x, attributes)
    terms = np.abs(a * np.nan_to_num(x)) + abs(b) if kind == "linear" else reference
    result = run_layer("neuron", [x], attributes, precision=precision)
    assert_close(result, reference, ulp_bound(np.nan_to_num(terms)), half=precision == "float16")


@given(st.integers(1, 40), seeds)
def test_prelu_has_a_slope_for_each_channel(channels: int, seed: int) -> None:
    x, slope = values(seed, (2, 3, 5, channels)), values(seed + 1, (channels,))
    result = run_layer("neuron", [x], {"kind": "prelu"}, weights={"slope": slope})
    reference = neuron(x, {"kind": "prelu"}, slope)
    assert_close(result, reference, ulp_bound(reference))


@pytest.mark.parametrize("kind", ["none", "relu", "relun", "linear", "prelu"])
def test_nan_passes_and_infinity_stays_in_its_place(kind: str) -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 0.0, 1.0]], np.float32)
    weights: dict[str, Any] = {"slope": np.full(5, 0.5, np.float32)} if kind == "prelu" else {}
    attributes = {"kind": kind, "a": 0.5, "b": 6.0}
    result = run_layer("neuron", [x], attributes, weights=weights)
    np.testing.assert_array_equal(result, neuron(x, attributes, weights.get("slope")).astype(np.float32))


def test_attached_and_standing_alone_are_the_same_bits() -> None:
    x, weight = values(0, (1, 6, 6, 3)), values(1, (8, 3, 3, 3))
    attributes = {"output_channels": 8, "kernel_height": 3, "kernel_width": 3}
    function = {"kind": "relun", "a": 0.0, "b": 1.0}
    attached = run_layer("convolution", [x], attributes, weights={"weight": weight}, activation=function)
    plain = run_layer("convolution", [x], attributes, weights={"weight": weight})
    np.testing.assert_array_equal(attached, run_layer("neuron", [plain], function))


def test_functions_that_do_not_exist_are_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match="must be one of none, relu, linear, prelu, relun"):
        network.activation(network.input, {"kind": "mish"})
    with pytest.raises(mpscnn.ParameterError, match="'relu', 'relu6', 'prelu'"):
        network.activation(network.input, "mish")
    with pytest.raises(mpscnn.ParameterError, match="takes no activation"):
        network.layer("softmax", [network.input], {}, activation="relu")
