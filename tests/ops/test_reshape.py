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
        ([0], "at least 1"),
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
