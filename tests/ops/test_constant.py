"""Tests of constant tensors, which are weights."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.constant import constant
from tolerance import assert_close, ulp_bound

import mpscnn

extents = st.lists(st.integers(1, 12), min_size=1, max_size=5)


@given(st.integers(1, 3), extents, seeds, precisions())
def test_alone(batch: int, shape: list[int], seed: int, precision: str) -> None:
    value = values(seed, tuple(shape), precision=precision)
    x = values(seed, (batch, 2, 3, 1))
    result = run_layer("constant", [x], {"shape": shape}, weights={"value": value}, precision=precision)
    np.testing.assert_array_equal(result, constant(batch, value))


@given(
    st.tuples(*[st.integers(1, 20)] * 3), st.tuples(*[st.booleans()] * 3), seeds, st.booleans(), precisions()
)
def test_operands_of_arithmetic(
    shape: tuple[int, int, int], repeated: tuple[bool, ...], seed: int, first: bool, precision: str
) -> None:
    """A constant may have any shape that broadcasts, be on either side, and be read by several layers."""
    own = tuple(1 if once else extent for once, extent in zip(repeated, shape, strict=True))
    network = mpscnn.Network(input=shape)
    operand = network.constant(network.input, own, name="operand")
    sides = (operand, network.input) if first else (network.input, operand)
    network.output(network.subtract(*sides, activation="relu"))
    if seed % 2:
        network.output(network.reduce_max(operand, "channels"))
    value, x = values(seed, own, precision=precision), values(seed + 1, (3, *shape), precision=precision)
    network.load_weights({"operand.value": value})
    results = network.compile(precision=precision).session(threads=2).run(x)
    result = next(iter(results.values())) if isinstance(results, dict) else results
    expected = np.maximum((value - x.astype(np.float64)) * (1 if first else -1), 0)
    assert_close(result, expected, ulp_bound(expected), half=precision == "float16")
    if isinstance(results, dict):
        largest = np.stack([value.max(-1, keepdims=True)] * 3)
        np.testing.assert_array_equal(list(results.values())[1], largest)


def test_behind_a_convolution() -> None:
    """A constant is added to the result of a convolution, as a position embedding."""
    network = mpscnn.Network(input=(4, 4, 3))
    tokens = network.conv2d(network.input, 6, 2, strides=2, name="tokens")
    network.output(network.add(tokens, network.constant(tokens, (2, 2, 6), name="position")))
    weight, position = values(0, (6, 2, 2, 3)), values(1, (2, 2, 6))
    network.load_weights({"tokens.weight": weight, "position.value": position})
    x = values(2, (3, 4, 4, 3))
    blocks = x.reshape(3, 2, 2, 2, 2, 3)
    expected = np.einsum("nyixjc,oijc->nyxo", blocks.astype(np.float64), weight) + position
    np.testing.assert_allclose(
        network.compile(precision="float32").session().run(x), expected, rtol=1e-5, atol=1e-5
    )


def test_weights_change() -> None:
    network = mpscnn.Network(input=(2, 3))
    network.output(network.multiply(network.input, network.constant(network.input, (1, 3), name="factor")))
    x = values(0, (2, 2, 3))
    for factor in (values(1, (1, 3)), values(2, (1, 3))):
        network.load_weights({"factor.value": factor})
        np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), x * factor)
    assert [spec["shape"] for spec in network.weight_specs()] == [[1, 3]]


@pytest.mark.parametrize("shape", [[], [0], [3, -1], [1] * 6])
def test_wrong_shapes_are_named(shape: list[int]) -> None:
    network = mpscnn.Network(input=(2, 3))
    with pytest.raises(
        mpscnn.ParameterError, match="constant: shape must be 1 to 5 extents of 1 to 16777216"
    ):
        network.constant(network.input, shape)


def test_a_missing_value_is_named() -> None:
    network = mpscnn.Network(input=(2, 3))
    network.output(network.constant(network.input, (3,), name="token"))
    with pytest.raises(mpscnn.WeightsError, match=r"layer 'token': value .* is missing"):
        network.compile()
