"""Fully connected layers against the float64 reference."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.fully_connected import fully_connected
from reference.neuron import neuron
from tolerance import assert_close, linear_bound

import mpscnn


@given(st.integers(1, 5), st.integers(1, 400), st.integers(1, 130), seeds, precisions(), st.booleans())
def test_vectors(batch: int, features: int, outputs: int, seed: int, precision: str, relu: bool) -> None:
    x = values(seed, (batch, features), precision=precision)
    weight, bias = values(seed + 1, (outputs, features), precision=precision), values(seed + 2, (outputs,))
    reference, magnitude = fully_connected(x, weight, bias)
    activation = {"kind": "relu"} if relu else None
    if activation:
        reference = neuron(reference, activation)
    weights = {"weight": weight, "bias": bias}
    result = run_layer(
        "fully_connected",
        [x],
        {"outputs": outputs},
        weights=weights,
        activation=activation,
        precision=precision,
    )
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20), st.integers(1, 40), seeds)
def test_images_are_read_row_by_row(height: int, width: int, channels: int, outputs: int, seed: int) -> None:
    x, weight = (
        values(seed, (2, height, width, channels)),
        values(seed + 1, (outputs, height, width, channels)),
    )
    reference, magnitude = fully_connected(x, weight, None)
    result = run_layer("fully_connected", [x], {"outputs": outputs}, weights={"weight": weight})
    assert_close(result, reference, linear_bound(magnitude))


def test_an_image_of_any_size_is_refused() -> None:
    network = mpscnn.Network(input=(None, None, 3))
    with pytest.raises(mpscnn.ShapeError, match="size must be fixed"):
        network.dense(network.input, 10)


def test_one_image_and_a_batch_give_the_same_bits() -> None:
    x, weight = values(0, (7, 300)), values(1, (50, 300))
    whole = run_layer("fully_connected", [x], {"outputs": 50}, weights={"weight": weight})
    for i in range(7):
        alone = run_layer("fully_connected", [x[i : i + 1]], {"outputs": 50}, weights={"weight": weight})
        np.testing.assert_array_equal(alone[0], whole[i])
