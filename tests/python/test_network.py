"""Building networks from Python: what the methods refuse before the core sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn


def network() -> mpscnn.Network:
    return mpscnn.Network(input=(8, 8, 3), name="mine")


@pytest.mark.parametrize("value", [np.zeros((1, 8, 8, 3)), "image", 3, None])
def test_values_that_are_no_tensors(value: Any) -> None:
    net = network()
    for add in (net.softmax, net.output, lambda x: net.conv2d(x, 4, 3), lambda x: net.add(net.input, x)):
        with pytest.raises(
            mpscnn.ParameterError, match=f"expected a Tensor of network 'mine'.*{type(value).__name__}"
        ):
            add(value)
    assert net.outputs == []


def test_tensors_of_another_network() -> None:
    net, other = network(), network()
    for add in (net.softmax, net.output, lambda x: net.concat([net.input, x])):
        with pytest.raises(mpscnn.ParameterError, match="belongs to another network"):
            add(other.input)
    assert net.outputs == []


def test_numbers_of_numpy_are_numbers() -> None:
    sizes = np.array([4, 3, 2])
    filters, kernel, strides = sizes
    x, y = network(), network()
    x.conv2d(x.input, filters, kernel, strides=strides, padding=((np.int32(1), 0), (0, 1)))
    y.conv2d(y.input, 4, 3, strides=2, padding=((1, 0), (0, 1)))
    x.pad(x.input, np.int64(2), value=np.float32(0.5))
    y.pad(y.input, 2, value=0.5)
    assert x.to_dict() == y.to_dict()


@pytest.mark.parametrize("filters", [[4], np.zeros(2), object()])
def test_what_is_no_number(filters: Any) -> None:
    net = network()
    with pytest.raises(mpscnn.ParameterError):
        net.conv2d(net.input, filters, 3)
