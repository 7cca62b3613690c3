"""Addition against the float64 reference."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.arithmetic import add
from reference.neuron import neuron
from tolerance import assert_close, linear_bound

import mpscnn


@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 70), seeds, precisions(), st.booleans())
def test_images(batch: int, size: int, channels: int, seed: int, precision: str, relu: bool) -> None:
    shape = (batch, size, size + 1, channels)
    a, b = values(seed, shape, precision=precision), values(seed + 1, shape, precision=precision)
    activation = {"kind": "relu"} if relu else None
    reference = neuron(add(a, b), activation) if activation else add(a, b)
    result = run_layer("add", [a, b], {}, activation=activation, precision=precision)
    assert_close(result, reference, linear_bound(np.abs(a) + np.abs(b)), half=precision == "float16")


def test_other_shapes_are_refused() -> None:
    network = mpscnn.Network(input={"a": (4, 4, 3), "b": (4, 4, 1)})
    with pytest.raises(mpscnn.ShapeError, match="both inputs must have one shape"):
        network.add(*network.inputs)


def test_a_tensor_may_be_added_to_itself() -> None:
    x = values(0, (1, 3, 3, 5))
    network = mpscnn.Network(input=(3, 3, 5))
    network.output(network.add(network.input, network.input))
    np.testing.assert_array_equal(network.compile(precision="float32").session().run(x), 2 * x)


def test_half_overflow_becomes_infinity() -> None:
    x = np.full((1, 1, 1, 8), 60000.0, np.float32)
    assert np.isinf(run_layer("add", [x, x], {}, precision="float16")).all()
