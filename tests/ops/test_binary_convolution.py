"""Convolution with weights of one bit against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference.binary_convolution import binary_convolution, binary_fully_connected
from reference.neuron import neuron
from tolerance import assert_close, linear_bound

import mpscnn

kinds = st.sampled_from(["binary_weights", "xnor", "and"])
activations = st.sampled_from([None, {"kind": "relun", "b": 1.0}, {"kind": "linear", "a": -1.0, "b": 0.5}])


def draw_weights(data: st.DataObject, seed: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Draw the signs, and any selection of the other weights."""
    weights = {"weight": values(seed, shape)}
    sizes = {"bias": shape[0], "scale": shape[0], "input_bias": shape[-1], "input_scale": shape[-1]}
    for offset, (role, size) in enumerate(sizes.items(), start=1):
        if data.draw(st.booleans()):
            weights[role] = values(seed + offset, (size,))
    return weights


@given(st.data(), kinds, st.booleans(), activations, seeds, precisions())
def test_convolution(
    data: st.DataObject, kind: str, beta_scaling: bool, activation: Any, seed: int, precision: str
) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)))
    inputs, outputs = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 19))
    attributes = data.draw(windows(height, width))
    attributes |= {"output_channels": outputs, "kind": kind, "beta_scaling": beta_scaling}
    x = values(seed, (batch, height, width, inputs), precision=precision)
    weights = draw_weights(
        data, seed + 1, (outputs, attributes["kernel_height"], attributes["kernel_width"], inputs)
    )
    reference, magnitude = binary_convolution(x, weights, attributes)
    if activation is not None:
        reference = neuron(reference, activation)
        magnitude = magnitude + np.abs(reference)  # the result of the activation is rounded, too
    result = run_layer(
        "binary_convolution",
        [x],
        attributes,
        weights=weights,
        activation=activation,
        precision=precision,
        threads=data.draw(st.integers(1, 3)),
    )
    assert_close(result, reference, 2 * linear_bound(magnitude), half=precision == "float16")


@given(st.data(), kinds, st.booleans(), seeds, precisions())
def test_fully_connected(
    data: st.DataObject, kind: str, beta_scaling: bool, seed: int, precision: str
) -> None:
    image = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.just(()))
    shape = (*image, data.draw(st.integers(1, 70)))
    outputs = data.draw(st.integers(1, 40))
    attributes = {"outputs": outputs, "kind": kind, "beta_scaling": beta_scaling}
    x = values(seed, (2, *shape), precision=precision)
    weights = draw_weights(data, seed + 1, (outputs, *shape))
    reference, magnitude = binary_fully_connected(x, weights, attributes)
    result = run_layer(
        "binary_fully_connected",
        [x],
        attributes,
        weights=weights,
        precision=precision,
        threads=data.draw(st.integers(1, 3)),
    )
    assert_close(result, reference, 2 * linear_bound(magnitude), half=precision == "float16")


def test_sums_of_signs_are_exact() -> None:
    """Sums are exact with more equal bits than byte counters can count, and with channels that do not fill a word."""
    x, weight = np.ones((1, 3, 3, 1001), np.float32), np.ones((5, 3, 3, 1001), np.float32)
    attributes = {"output_channels": 5, "kernel_height": 3, "kernel_width": 3}
    for sign in (1, -1):
        result = run_layer("binary_convolution", [x], attributes, weights={"weight": sign * weight})
        np.testing.assert_array_equal(result, np.full((1, 1, 1, 5), sign * 9009.0))
    result = run_layer("binary_convolution", [x], attributes | {"kind": "and"}, weights={"weight": weight})
    np.testing.assert_array_equal(result, np.full((1, 1, 1, 5), 9009.0))


def test_zeros_and_the_outside_are_positive() -> None:
    x, weight = np.zeros((1, 2, 2, 3), np.float32), np.ones((1, 3, 3, 3), np.float32)
    attributes = {"output_channels": 1, "kernel_height": 3, "kernel_width": 3, "padding": "same"}
    result = run_layer("binary_convolution", [x], attributes, weights={"weight": weight})
    np.testing.assert_array_equal(result, np.full((1, 2, 2, 1), 27.0))
    weights = {"weight": weight, "input_bias": np.full(3, -0.5, np.float32)}
    result = run_layer("binary_convolution", [x], attributes, weights=weights)
    np.testing.assert_array_equal(result, np.full((1, 2, 2, 1), -27.0))


@pytest.mark.parametrize("kind", ["binary_weights", "xnor", "and"])
@pytest.mark.parametrize("beta_scaling", [False, True])
def test_nan_reaches_exactly_the_windows_that_cover_it(kind: str, beta_scaling: bool) -> None:
    x = values(0, (1, 6, 6, 40))
    x[0, 2, 2, 35] = np.nan
    attributes = {"output_channels": 9, "kernel_height": 3, "kernel_width": 3, "kind": kind}
    attributes |= {"beta_scaling": beta_scaling}
    result = run_layer("binary_convolution", [x], attributes, weights={"weight": values(1, (9, 3, 3, 40))})
    expected = np.zeros((4, 4), bool)
    expected[0:3, 0:3] = True
    assert (np.isnan(result[0]) == expected[..., None]).all()


def test_same_bits_for_any_number_of_threads() -> None:
    x, weights = values(0, (2, 33, 17, 50)), {"weight": values(1, (45, 3, 3, 50)), "scale": values(2, (45,))}
    attributes = {
        "output_channels": 45,
        "kernel_height": 3,
        "kernel_width": 3,
        "stride_y": 2,
        "beta_scaling": True,
    }
    one, *others = (
        run_layer("binary_convolution", [x], attributes, weights=weights, threads=threads)
        for threads in (1, 2, 5)
    )
    for other in others:
        np.testing.assert_array_equal(other, one)


@given(st.integers(1, 3), st.integers(1, 70), seeds)
def test_packed_weights(outputs: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 2**32, (outputs, 2, 3, -(-channels // 32)), dtype=np.uint32)
    weight = mpscnn.unpack_binary_weights(words, channels)
    assert weight.shape == (outputs, 2, 3, channels)
    for o, y, x, c in np.ndindex(weight.shape):
        assert weight[o, y, x, c] == (1 if int(words[o, y, x, c // 32]) >> c % 32 & 1 else -1)


def test_wrong_packed_weights_are_refused() -> None:
    with pytest.raises(mpscnn.WeightsError, match="expected uint32 words, got int64"):
        mpscnn.unpack_binary_weights(np.zeros((1, 1), np.int64), 4)
    with pytest.raises(mpscnn.WeightsError, match="33 channels take 2 words, got 1"):
        mpscnn.unpack_binary_weights(np.zeros((1, 1), np.uint32), 33)


@pytest.mark.parametrize(
    ("operation", "attributes", "message"),
    [
        ("binary_convolution", {}, "output_channels must be 1 to"),
        ("binary_convolution", {"output_channels": 1, "kernel_height": 0}, "kernel_height must be"),
        (
            "binary_convolution",
            {"output_channels": 1, "kernel_height": 9},
            "a window of 9 rows does not fit into 5",
        ),
        (
            "binary_convolution",
            {"output_channels": 1, "kind": "or"},
            "must be one of binary_weights, xnor, and",
        ),
        ("binary_convolution", {"output_channels": 1, "groups": 2}, "unknown parameter 'groups'"),
        ("binary_fully_connected", {}, "outputs must be 1 to"),
        ("binary_fully_connected", {"outputs": 1, "kind": "or"}, "must be one of binary_weights, xnor, and"),
    ],
)
def test_wrong_parameters_are_named(operation: str, attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 4))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer(operation, [network.input], attributes)


def test_inputs_of_a_dense_layer_have_a_known_size() -> None:
    network = mpscnn.Network(input=(None, 5, 4))
    with pytest.raises(mpscnn.ShapeError, match="binary_fully_connected: the input's size must be fixed"):
        network.binary_dense(network.input, 3)
