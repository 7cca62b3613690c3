"""Test constant tensors, which are weights."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, Sample, refusals
from ops.single_layer import precisions, seeds, values
from reference.constant import constant
from tolerance import HALF_EPS

from mpscnn import Network, Tensor, WeightsError


@st.composite
def alone(draw: st.DrawFn) -> Sample:
    shape, seed = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5)), draw(seeds)
    x = values(seed, (draw(st.integers(1, 3)), 2, 3, 1))
    return Sample([x], {"shape": shape}, {"value": values(seed, tuple(shape))})


@st.composite
def operands(draw: st.DrawFn) -> Layers:
    """Draw a constant that two layers read. One of them subtracts it from a tensor, or the tensor from it."""
    shape = tuple(draw(st.integers(1, 20)) for _ in range(3))
    own = tuple(1 if draw(st.booleans()) else extent for extent in shape)
    first, precision = draw(st.booleans()), draw(precisions())
    value = values(draw(seeds), own, precision=precision)

    def build(network: Network, x: Tensor) -> list[Tensor]:
        operand = network.constant(x, own, name="operand")
        sides = (operand, x) if first else (x, operand)
        return [network.subtract(*sides, activation="relu"), network.reduce_max(operand, "channels")]

    def expected(x: Any) -> list[Any]:
        difference = np.maximum((value - x.astype(np.float64)) * (1 if first else -1), 0)
        return [difference, np.stack([value.max(-1, keepdims=True)] * len(x))]

    tolerance = HALF_EPS if precision == "float16" else 1e-6
    weights = {"operand.value": value}
    return Layers([shape], build, expected, weights=weights, precision=precision, rtol=tolerance)


def positions(network: Network, x: Tensor) -> Tensor:
    """Add a position embedding to the result of a convolution."""
    tokens = network.conv2d(x, 6, 2, strides=2, name="tokens")
    return network.add(tokens, network.constant(tokens, (2, 2, 6), name="position"))


WEIGHT, POSITION = values(0, (6, 2, 2, 3)), values(1, (2, 2, 6))
CONSTANT = Operation(
    "constant",
    lambda sample: (constant(len(sample.inputs[0]), sample.weights["value"]), None),
    draws={"alone": alone()},
    refused=refusals(
        {
            "shape must be 1 to 5 extents of 1 to 16777216": [
                {"shape": s} for s in ([], [0], [3, -1], [1] * 6)
            ]
        },
        [(2, 3)],
    ),
    layers={
        "operands": operands(),
        "after a convolution": Layers(
            [(4, 4, 3)],
            positions,
            lambda x: np.einsum("nyixjc,oijc->nyxo", x.reshape(2, 2, 2, 2, 2, 3), WEIGHT) + POSITION,
            weights={"tokens.weight": WEIGHT, "position.value": POSITION},
            rtol=1e-5,
            atol=1e-5,
        ),
    },
)


def test_weights_change() -> None:
    network = Network(input=(2, 3))
    network.output(network.multiply(network.input, network.constant(network.input, (1, 3), name="factor")))
    x = values(0, (2, 2, 3))
    for factor in (values(1, (1, 3)), values(2, (1, 3))):
        network.load_weights({"factor.value": factor})
        np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), x * factor)
    assert [spec["shape"] for spec in network.weight_specs()] == [[1, 3]]


def test_a_missing_value_is_named() -> None:
    network = Network(input=(2, 3))
    network.output(network.constant(network.input, (3,), name="token"))
    with pytest.raises(WeightsError, match=r"layer 'token': value .* is missing"):
        network.compile()


OPERATIONS = [CONSTANT]
