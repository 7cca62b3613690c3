"""Convolution against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference.convolution import convolution
from reference.neuron import neuron
from tolerance import assert_close, defined_where_attached, linear_bound, needs_promise_about_nan

import mpscnn

ACTIVATIONS: list[dict[str, Any] | None] = [  # slopes are at most 1, so that errors do not grow
    None,
    {"kind": "relu", "a": 0.25},
    {"kind": "relun", "b": 1.0},
    {"kind": "linear", "a": -1.0, "b": 0.5},
]


def check(
    x: Any,
    weight: Any,
    bias: Any,
    attributes: dict[str, Any],
    precision: str,
    activation: dict[str, Any] | None = None,
) -> None:
    reference, magnitude = convolution(x, weight, bias, attributes)
    if activation is not None:
        reference = neuron(reference, activation)
        magnitude = magnitude + np.abs(reference)  # the result of the activation is rounded, too
    weights = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    result = run_layer(
        "convolution", [x], attributes, weights=weights, activation=activation, precision=precision
    )
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@given(st.data(), seeds, precisions())
def test_dense_and_grouped(data: st.DataObject, seed: int, precision: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    groups = data.draw(st.integers(1, 3))
    inputs, outputs = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 19))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": outputs * groups, "groups": groups}
    x = values(seed, (batch, height, width, inputs * groups), precision=precision)
    shape = (outputs * groups, attributes["kernel_height"], attributes["kernel_width"], inputs)
    weight = values(seed + 1, shape, precision=precision)
    bias = values(seed + 2, (outputs * groups,)) if data.draw(st.booleans()) else None
    activation = data.draw(st.sampled_from(ACTIVATIONS))
    check(x, weight, bias, attributes, precision, activation)


@given(st.data(), seeds, precisions(), st.sampled_from([4, 8]), st.integers(1, 4))
def test_narrow_groups(data: st.DataObject, seed: int, precision: str, size: int, count: int) -> None:
    """Several narrow groups share a register. A NaN must only affect its own group."""
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 19)))
    channels = size * count * data.draw(st.sampled_from([1, 2, 4]))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": channels, "groups": channels // size}
    x = values(seed, (batch, height, width, channels), precision=precision)
    shape = (channels, attributes["kernel_height"], attributes["kernel_width"], size)
    weight, bias = values(seed + 1, shape, precision=precision), values(seed + 2, (channels,))
    check(x, weight, bias, attributes, precision, data.draw(st.sampled_from(ACTIVATIONS)))
    x[..., data.draw(st.integers(0, channels - 1))] = np.nan
    check(x, weight, bias, attributes, precision)


@given(st.data(), seeds, precisions())
def test_depthwise_with_multiplier(data: st.DataObject, seed: int, precision: str) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 17), st.integers(1, 17)))
    channels, multiplier = data.draw(st.integers(2, 37)), data.draw(st.sampled_from([1, 1, 2, 3]))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": channels * multiplier, "groups": channels}
    x = values(seed, (batch, height, width, channels), precision=precision)
    shape = (channels * multiplier, attributes["kernel_height"], attributes["kernel_width"], 1)
    weight = values(seed + 1, shape, precision=precision)
    activation = data.draw(st.sampled_from(ACTIVATIONS))
    check(x, weight, values(seed + 2, shape[:1]), attributes, precision, activation)


@given(st.integers(1, 300), st.integers(1, 70), st.integers(1, 200), seeds)
def test_pointwise_of_many_sizes(inputs: int, outputs: int, pixels: int, seed: int) -> None:
    x, weight = values(seed, (1, 1, pixels, inputs)), values(seed + 1, (outputs, 1, 1, inputs))
    check(x, weight, None, {"output_channels": outputs}, "float32")


def test_depthwise_weights_in_their_usual_order() -> None:
    x = values(0, (1, 5, 5, 4))
    network = mpscnn.Network(input=(5, 5, 4))
    network.output(network.depthwise_conv2d(network.input, (2, 3), multiplier=2, name="layer"))
    weight = values(1, (4, 2, 2, 3))  # [channel][multiplier][height][width]
    network.load_weights({"layer.weight": weight})
    attributes = {"kernel_height": 2, "kernel_width": 3, "groups": 4}
    reference, magnitude = convolution(x, weight.reshape(8, 2, 3, 1), None, attributes)
    assert_close(network.compile(precision="float32").session().run(x), reference, linear_bound(magnitude))


@needs_promise_about_nan
def test_nan_reaches_exactly_the_windows_that_cover_it(chosen_device: str) -> None:
    x = values(0, (1, 6, 6, 3))
    x[0, 2, 2, 1] = np.nan
    weight = values(1, (4, 3, 3, 3))
    for activation in (None, {"kind": "relun", "b": 6.0}):
        result = run_layer(
            "convolution",
            [x],
            {"output_channels": 4, "kernel_height": 3, "kernel_width": 3},
            weights={"weight": weight},
            activation=activation,
        )
        expected = np.zeros((4, 4), bool)
        expected[0:3, 0:3] = True
        found = np.isnan(result[0])
        nan = np.full(1, np.nan, np.float32)
        passes = activation is None or defined_where_attached("relun", nan, chosen_device)[0]
        assert (found == expected[..., None]).all() if passes else not found[~expected].any()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"output_channels": 0}, "output_channels must be 1 to"),
        ({"output_channels": 4, "groups": 2}, "groups must be a divisor"),
        ({"output_channels": 4, "stride_y": 0}, "stride_y must be"),
        ({"output_channels": 4, "pad_top": 1}, "padding must be explicit"),
        ({"output_channels": 4, "padding": "reflect"}, "must be one of valid, same, full, explicit"),
        ({"output_channels": 4, "kernel_height": 9}, "a window of 9 rows does not fit into 5"),
        ({"output_channels": 4, "kernel": 3}, "unknown parameter 'kernel'"),
        ({"output_channels": 2.5}, "output_channels"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("convolution", [network.input], attributes)
