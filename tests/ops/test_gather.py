"""Rows, columns and channels at given positions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.gather import gathered, tiled

import mpscnn

extents = st.lists(st.integers(1, 20), min_size=1, max_size=3)


@given(extents, st.data(), seeds, precisions())
def test_gather(shape: list[int], data: st.DataObject, seed: int, precision: str) -> None:
    axis = data.draw(st.integers(1, len(shape)))
    indices = data.draw(st.lists(st.integers(0, shape[axis - 1] - 1), min_size=1, max_size=40))
    x = values(seed, (2, *shape), precision=precision)
    given_axis = axis if seed % 2 else axis - x.ndim
    result = run_layer("gather", [x], {"axis": given_axis, "indices": indices}, precision=precision)
    np.testing.assert_array_equal(result, gathered(x, axis, indices))


@given(extents, st.data(), seeds, precisions())
def test_tile(shape: list[int], data: st.DataObject, seed: int, precision: str) -> None:
    repeats = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    attributes = dict(zip(("channels", "columns", "rows"), reversed(repeats), strict=False))
    x = values(seed, (2, *shape), precision=precision)
    result = run_layer("tile", [x], attributes, precision=precision)
    np.testing.assert_array_equal(result, tiled(x, repeats))


def test_methods_are_numpys() -> None:
    network = mpscnn.Network(input=(6, 7, 5))
    network.output(network.gather(network.input, [-1, 0, 2], axis=2))
    network.output(network.tile(network.input, (2, 1, 3)))
    network.output(network.gather(network.flatten(network.input), np.array([5, 5])))
    x = values(0, (2, 6, 7, 5))
    columns, tiles, features = network.compile(precision="float32").session().run(x).values()
    np.testing.assert_array_equal(columns, np.take(x, [-1, 0, 2], axis=2))
    np.testing.assert_array_equal(tiles, np.tile(x, (1, 2, 1, 3)))
    np.testing.assert_array_equal(features, x.reshape(2, -1)[:, [5, 5]])


def test_free_extents() -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.gather(network.input, [2, 0]))
    network.output(network.tile(network.input, (2, 3, 1)))
    x = values(0, (1, 5, 4, 3))
    channels, tiles = network.compile(precision="float32").session().run(x).values()
    np.testing.assert_array_equal(channels, x[..., [2, 0]])
    np.testing.assert_array_equal(tiles, np.tile(x, (1, 2, 3, 1)))
    with pytest.raises(mpscnn.ShapeError, match="gather: the extent of axis 1 must be known"):
        network.gather(network.input, [0], axis=1)


@pytest.mark.parametrize(
    ("operation", "attributes", "message"),
    [
        ("gather", {"indices": []}, "indices must be 1 to 16777216 numbers, got 0"),
        ("gather", {"indices": [1, 3]}, "indices must be positions of 0 to 2, got 3"),
        ("gather", {"indices": [-1]}, "indices must be positions of 0 to 2, got -1"),
        ("gather", {"indices": [0], "axis": 0}, "axis must be an axis of .* other than the batch, got 0"),
        ("gather", {"indices": [0], "axis": -4}, "axis must be an axis of .* other than the batch, got -4"),
        ("tile", {"rows": 0}, "rows must be 1 to 16777216, got 0"),
    ],
)
def test_wrong_parameters_are_named(operation: str, attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.layer(operation, [network.input], attributes)


def test_wrong_arguments_are_named() -> None:
    network = mpscnn.Network(input=(5, 3))
    with pytest.raises(mpscnn.ParameterError, match="indices must be positions of 0 to 2, got -4"):
        network.gather(network.input, [-4])
    with pytest.raises(mpscnn.ParameterError, match="repeats must be one number for each axis"):
        network.tile(network.input, (1, 2, 3))
    with pytest.raises(mpscnn.ParameterError, match=r"rows must be 1 for \(n, 5, 3\), got 2"):
        network.layer("tile", [network.input], {"rows": 2})
    five = mpscnn.Network(input=(2, 2, 5, 3))
    with pytest.raises(mpscnn.ShapeError, match="gather: the input must have 2 to 4 axes"):
        five.gather(five.input, [0])
