"""Test building networks from Python: errors that the methods raise before they call the core."""

from __future__ import annotations

import copy
import gc
import math
import weakref
from collections.abc import Callable
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


def test_several_results_of_a_layer_are_no_tensor() -> None:
    net = mpscnn.Network(input=(6, 8))
    several: list[tuple[Any, str]] = [
        (net.lstm(net.input, 5), r"got Recurrent; take one of its tensors: \.steps, \.last, \.cell$"),
        (net.gru(net.input, 5), r"got Recurrent; take one of its tensors: \.steps, \.last$"),
    ]
    for results, message in several:
        with pytest.raises(mpscnn.ParameterError, match=message):
            net.output(results)


def test_tensors_of_another_network() -> None:
    net, other = network(), network()
    for add in (net.softmax, net.output, lambda x: net.concat([net.input, x])):
        with pytest.raises(mpscnn.ParameterError, match="belongs to another network"):
            add(other.input)
    assert net.outputs == []


def test_weights_go_with_the_last_reference() -> None:
    """The weights are freed without waiting for Python's cycle collector."""
    net = network()
    net.output(net.softmax(net.conv2d(net.input, 4, 3)))
    net.initialize_weights()
    copied = copy.deepcopy(net)
    copied.softmax(copied.outputs[0])  # a copy has tensors of its own
    graphs = [weakref.ref(one) for one in (net, copied)]
    gc.collect()
    gc.disable()
    try:
        del net, copied
        assert [graph() for graph in graphs] == [None, None]
    finally:
        gc.enable()


def test_quantized_weights_with_one_scale() -> None:
    net = network()
    net.output(net.conv2d(net.input, 2, 1, name="conv"))
    integers = np.arange(6, dtype=np.uint8).reshape(2, 1, 1, 3)
    net.set_quantized_weight("conv.weight", integers, 0.5, np.float32(2))
    np.testing.assert_array_equal(net.weights["conv.weight"], (integers - np.float32(2)) * 0.5)
    with pytest.raises(mpscnn.ParameterError, match="scales and zero points must be numbers, got 'a'"):
        net.set_quantized_weight("conv.weight", integers, "a", 0)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="set_quantized_weight: name"):
        net.set_quantized_weight(None, integers, 1, 0)  # type: ignore[arg-type]
    net.set_weights({"conv.bias": np.zeros(2, np.float32)})
    program = net.compile(device="cpu")
    for wrong in ("x", None, (1.5, 8, 8, 3), np.array(3)):
        for method in (program.fingerprint, program.arena_bytes, program.output_shapes):
            with pytest.raises(mpscnn.ParameterError, match="the shape of an input must be whole numbers"):
                method(wrong)  # type: ignore[arg-type]


def test_automatic_names_are_free_ones() -> None:
    net = network()
    net.dense(net.conv2d(net.input, 4, 3), 2, name="dense_2")
    net.initialize_weights()
    again = copy.deepcopy(net).restructured(net.to_dict() | {"outputs": ["dense_2"]}, {})
    names = [again.dense(again["conv2d_1"], 3).name for _ in range(3)]
    assert names == ["dense_1", "dense_3", "dense_4"]
    assert again.conv2d(again.input, 4, 3).name == "conv2d_2"


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


Layer = Callable[[mpscnn.Network], object]


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (
            lambda n: n.resize(n.input, scale=math.nan),
            "layer 'resize_1': resize: scale_y must be finite, got nan",
        ),
        (lambda n: n.local_response_norm(n.input, 3, alpha=math.inf), "alpha must be finite, got inf"),
        (lambda n: n.pad(n.input, 1, value=[0, 0, -math.inf]), "values must be finite, got -inf"),
        (
            lambda n: n.activation(n.input, {"kind": "relu", "a": np.float32("nan")}),
            "neuron: a must be finite, got nan",
        ),
        (
            lambda n: n.conv2d(n.input, 1, 1, activation={"kind": "relu", "a": math.nan}, name="c"),
            "layer 'c': neuron: a must be finite, got nan",
        ),
        (lambda n: n.conv2d(n.input, 1, 1, activation=["relu"]), "activation must be one of"),  # type: ignore[arg-type]
        (lambda n: n.softmax(n.input, name=3), "softmax: name must be a string, got 3"),  # type: ignore[arg-type]
        (lambda n: n.resize(n.input, (0, 3)), r"resize: size must be at least 1, got \(0, 3\)"),
        (lambda n: n.resize(n.input, (1, 2, 3)), r"resize: size must be .*, got \(1, 2, 3\)"),  # type: ignore[arg-type]
        (lambda n: n.resize(n.input, scale=(1, 2, 3)), "resize: scale must be a number or"),  # type: ignore[arg-type]
        (lambda n: n.conv2d_transpose(n.input, 1, 3, output_size=(0, 10)), "output_size must be at least 1"),
        (lambda n: n.reshape(n.input, 5), "reshape: shape must be whole numbers, got 5"),  # type: ignore[arg-type]
        (lambda n: n.concat(n.input), "concat: expected several tensors, got Tensor"),  # type: ignore[arg-type]
        (lambda n: n.reduce_max(n.input, 1.0), "axis must be .*, got 1.0"),  # type: ignore[arg-type]
        (lambda n: n.reduce_max(n.input, None), "axis must be .*, got None"),  # type: ignore[arg-type]
    ],
)
def test_arguments_are_refused_by_name(add: Layer, message: str) -> None:
    net = network()
    with pytest.raises(mpscnn.ParameterError, match=message):
        add(net)
    assert net.to_dict()["nodes"] == []


@pytest.mark.parametrize("shape", [5, "abc", (8.0, 8, 3), (True, 8, 3)])
def test_input_shapes_are_whole_numbers(shape: Any) -> None:
    with pytest.raises(mpscnn.ParameterError, match="input"):
        mpscnn.Network(input=shape)


def test_one_number_is_a_square_size() -> None:
    x, y = network(), network()
    x.resize(x.input, 5)
    y.resize(y.input, (5, 5))
    assert x.to_dict() == y.to_dict()


def test_random_weights_have_no_bias_before_a_batch_normalization() -> None:
    net = mpscnn.Network(input=(8, 8, 3))
    x = net.batch_norm(net.conv2d(net.input, 4, 3, name="normalized"))
    x = net.batch_norm(net.conv2d(x, 4, 3, activation="relu", name="activated"))
    x = net.conv2d(x, 4, 3, name="read_twice")
    net.output(net.add(net.batch_norm(x), x))
    net.initialize_weights()
    assert [name for name in net.weights if name.endswith(".bias")] == ["activated.bias", "read_twice.bias"]
