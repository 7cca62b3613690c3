"""Concatenation."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.concatenation import concatenation

import mpscnn


@given(
    st.lists(st.integers(1, 21), min_size=1, max_size=4), st.sampled_from([1, 2, 3, -1]), seeds, precisions()
)
def test_along_every_axis(extents: list[int], axis: int, seed: int, precision: str) -> None:
    parts = []
    for i, extent in enumerate(extents):
        shape = [2, 3, 4, 5]
        shape[axis] = extent
        parts.append(values(seed + i, tuple(shape), precision=precision))
    result = run_layer("concatenation", parts, {"axis": axis}, precision=precision)
    np.testing.assert_array_equal(result, concatenation(parts, axis))


@given(st.lists(st.integers(1, 19), min_size=2, max_size=4), seeds)
def test_of_layers_that_write_side_by_side(channels: list[int], seed: int) -> None:
    x = values(seed, (2, 5, 5, 3))
    network = mpscnn.Network(input=(5, 5, 3))
    parts = [
        network.conv2d(network.input, c, 1, activation="relu", name=f"part{i}")
        for i, c in enumerate(channels)
    ]
    joined = network.concat(parts, name="joined")
    for tensor in [*parts, joined]:
        network.output(tensor)
    network.initialize_weights(seed)
    results = network.compile(precision="float32").session().run(x)
    np.testing.assert_array_equal(
        results["joined"], np.concatenate([results[p.name] for p in parts], axis=-1)
    )
    alone = network.compile(precision="float32", outputs=["joined"]).session().run(x)
    np.testing.assert_array_equal(alone, results["joined"])


def test_parts_that_do_not_fit_are_refused() -> None:
    network = mpscnn.Network(input={"a": (4, 4, 3), "b": (4, 5, 3)})
    with pytest.raises(mpscnn.ShapeError, match="must agree in all axes but 3"):
        network.concat(network.inputs)
    with pytest.raises(mpscnn.ParameterError, match="axis must be"):
        network.concat([network.inputs[0]], axis=0)
