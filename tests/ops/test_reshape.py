"""Reshape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.single_layer import run_layer, values
from reference.reshape import reshape

import mpscnn


@pytest.mark.parametrize(
    "shape", [[-1], [60], [3, 20], [20, 3], [5, 4, 3], [2, -1, 3], [1, 1, 60], [4, 5, 3, 1]]
)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_order_is_kept(shape: list[int], precision: str) -> None:
    x = values(0, (2, 4, 5, 3), precision=precision)
    resolved = list(reshape(x, shape).shape[1:])
    result = run_layer("reshape", [x], {"shape": shape}, precision=precision)
    np.testing.assert_array_equal(result, reshape(x, resolved))


@pytest.mark.parametrize(
    ("shape", "resolved"),
    [
        ([0, 0, 3], [4, 5, 3]),
        ([0, 15], [4, 15]),
        ([0, -1], [4, 15]),
        ([0, 0, -1, 1], [4, 5, 3, 1]),
        ([2, -1, 0], [2, 10, 3]),
        ([0, 5, 3], [4, 5, 3]),
    ],
)
def test_zero_is_the_extent_of_the_same_axis(shape: list[int], resolved: list[int]) -> None:
    x = values(0, (2, 4, 5, 3))
    np.testing.assert_array_equal(run_layer("reshape", [x], {"shape": shape}), reshape(x, resolved))


@pytest.mark.parametrize("size", [(7, 9), (1, 2)])
def test_two_free_extents_stay_free(size: tuple[int, int]) -> None:
    network = mpscnn.Network(input=(None, None, 6))
    split = network.reshape(network.input, [0, 0, 2, 3])
    assert split.shape == (None, None, None, 2, 3)
    network.output(network.reduce_mean(network.input, "channels", keepdims=False, name="mean"))
    network.output(network.activation(split, "relu", name="split"))
    x = values(0, (2, *size, 6))
    results = network.compile(precision="float32").session().run(x)
    np.testing.assert_array_equal(results["split"], np.maximum(reshape(x, [*size, 2, 3]), 0))
    np.testing.assert_allclose(results["mean"], x.mean(-1), atol=1e-6)


@pytest.mark.parametrize("channels", [3, 8, 13])
def test_behind_and_before_other_layers(channels: int) -> None:
    """Intermediate results may lie with gaps between pixels; a reshape must not see them."""
    x = values(0, (2, 6, 6, 4))
    network = mpscnn.Network(input=(6, 6, 4))
    y = network.conv2d(network.input, channels, 3, activation="relu", name="conv")
    network.output(y)
    network.output(network.softmax(network.reshape(y, [channels, 16], name="reshape"), name="softmax"))
    network.initialize_weights()
    results = network.compile(precision="float32").session().run(x)
    exponentials = np.exp(reshape(results["conv"], [channels, 16]))
    np.testing.assert_allclose(
        results["softmax"], exponentials / exponentials.sum(-1, keepdims=True), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([61], "do not fit"),
        ([-1, 7], "do not fit"),
        ([-1, -1], "at most one"),
        ([-2], "at least 1"),
        ([0], "do not fit"),
        ([0, 0, 0, 0], "has no axis"),
        ([], "1 to 5 extents"),
    ],
)
def test_wrong_shapes_are_refused(shape: list[Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    with pytest.raises((mpscnn.ShapeError, mpscnn.ParameterError), match=message):
        network.reshape(network.input, shape)


def test_a_long_shape_has_a_short_message() -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    with pytest.raises(mpscnn.ParameterError) as refused:
        network.reshape(network.input, [1] * 100_000)
    assert len(str(refused.value)) < 1_000
