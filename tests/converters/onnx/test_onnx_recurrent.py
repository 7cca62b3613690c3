"""ONNX' recurrent layers give the results of onnxruntime in all directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import TOLERANCE, model, node, random_inputs, read, run_there, weights

from mpscnn import Network
from mpscnn.converters.writing.onnx.export import to_onnx
from mpscnn.errors import UnsupportedError, WeightsError

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(kind: str, direction: str, place: int, **attributes: Any) -> Any:
    """Return a model of one layer for 2 sequences of 5 steps, with one of the layer's results as output."""
    names = [""] * place + ["y"]
    count = 2 if direction == "bidirectional" else 1
    made = node(kind, ["x", "w", "r", "b"], names, hidden_size=4, direction=direction, **attributes)
    made.name = "layer"
    shapes = {"w": (GATES[kind] * 4, 3), "r": (GATES[kind] * 4, 4), "b": (GATES[kind] * 8,)}
    return model([made], {"x": [5, 2, 3]}, {name: weights(count, *shape) for name, shape in shapes.items()})


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("kind", "place"), [("LSTM", 0), ("LSTM", 1), ("LSTM", 2), ("GRU", 0), ("GRU", 1), ("RNN", 0), ("RNN", 1)]
)
def test_directions_and_results(kind: str, direction: str, place: int) -> None:
    attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
    made = recurrent(kind, direction, place, **attributes)
    network, feeds = read(made), random_inputs(made)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(feeds["x"][None])
    (wanted,) = run_there(made, feeds)
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=TOLERANCE)


def test_parameters_of_activations() -> None:
    """ONNX lists the values of alpha only for the functions that have an alpha. The same holds for beta."""
    settings = {
        "activations": ["HardSigmoid", "ScaledTanh", "LeakyRelu"] * 2,
        "activation_alpha": [0.3, 0.8, 0.2, 0.25, 1.5, 0.1],
        "activation_beta": [0.4, 0.7, 0.6, 1.2],
    }
    made = recurrent("LSTM", "bidirectional", 0, **settings)
    network, feeds = read(made), random_inputs(made)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(feeds["x"][None])
    (wanted,) = run_there(made, feeds)
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=10 * TOLERANCE)


@pytest.mark.parametrize("has_states", [False, True])
@pytest.mark.parametrize("reset_after", [None, False, True])
def test_written_layers_are_one_operator(reset_after: bool | None, has_states: bool) -> None:
    """A layer and the product of its inputs are written as one operator. Read again, it gives the same results."""
    names = ["h", "c"][: has_states * (2 if reset_after is None else 1)]
    network = Network(input={"x": (5, 3), **dict.fromkeys(names, (4,))})
    states = dict(zip(("hidden", "cell"), network.inputs[1:], strict=False))
    if reset_after is None:
        made = network.lstm(network.inputs[0], 4, reverse=True, activation="softsign", **states)
        network.output(made.cell)
    else:
        made = network.gru(network.inputs[0], 4, reset_after=reset_after, **states)
    network.output(made.steps)
    network.initialize_weights(seed=3)
    written = to_onnx(network)
    kinds = [one.op_type for one in written.graph.node]
    assert kinds.count("LSTM" if reset_after is None else "GRU") == 1
    assert "Conv" not in kinds
    generator = np.random.default_rng(0)
    shapes = {"x": (2, 5, 3), **dict.fromkeys(names, (2, 4))}
    feeds = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    there = run_there(written, feeds)
    here = network.compile(device="cpu").session(threads=1).run(feeds)
    back = read(written).compile(device="cpu").session(threads=1).run(list(feeds.values()))
    for results in (here, back):
        listed = [results] if isinstance(results, np.ndarray) else list(results.values())
        for found, wanted in zip(listed, there, strict=True):
            np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=TOLERANCE)


def test_functions_that_the_file_lacks_are_refused() -> None:
    network = Network(input=(5, 3))
    network.output(network.lstm(network.input, 4, activation="gelu", name="memory").last)
    network.initialize_weights(seed=0)
    with pytest.raises(UnsupportedError, match=r"memory/recurrent.*have no function 'gelu'"):
        to_onnx(network)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"activations": ["Sigmoid", "Tanh", "ThresholdedRelu"]},
            "its activation 'ThresholdedRelu' is not supported",
        )
    ],
)
def test_what_is_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        read(recurrent("LSTM", "forward", 0, layout=1, **attributes))


def test_limits_of_other_recurrent_layers_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="with limits of its sums it is not supported; only an LSTM"):
        read(recurrent("GRU", "forward", 0, layout=1, clip=1.0))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("sequences", [1, 2])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_constant_first_states(kind: str, direction: str, sequences: int, place: int) -> None:
    count = 2 if direction == "bidirectional" else 1
    states = ["h", "c"][: 2 if kind == "LSTM" else 1]
    shapes = {"w": (GATES[kind] * 4, 3), "r": (GATES[kind] * 4, 4), "b": (GATES[kind] * 8,)}
    shapes |= dict.fromkeys(states, (sequences, 4))
    made = node(
        kind, ["x", "w", "r", "b", "", *states], [""] * place + ["y"], hidden_size=4, direction=direction
    )
    given = {
        name: weights(count, *shape) * (1 + number) for number, (name, shape) in enumerate(shapes.items())
    }
    file = model([made], {"x": [5, sequences, 3]}, given)
    network, feeds = read(file), random_inputs(file)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(feeds["x"][None])
    (wanted,) = run_there(file, feeds)
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=TOLERANCE)


def test_a_constant_first_state_of_another_shape() -> None:
    names = ["x", "w", "r", "", "", "h"]
    file = model(
        [node("GRU", names, ["y"], hidden_size=4)],
        {"x": [1, 5, 3]},
        {"w": weights(1, 12, 3), "r": weights(1, 12, 4), "h": weights(1, 3, 4)},
    )
    with pytest.raises(WeightsError, match="damaged: its first state has 12 numbers, expected 20"):
        read(file)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"activations": ["Sigmoid", "Tanh", "Celu"]}, "its activation 'Celu' is not supported"),
        ({"direction": "reverse"}, "backwards, with other lengths for each sequence"),
    ],
)
def test_refusals_whose_first_axis_is_the_steps(attributes: dict[str, Any], message: str) -> None:
    names = ["x", "w", "r", "", "lengths"] if "direction" in attributes else ["x", "w", "r"]
    file = model(
        [node("LSTM", names, ["y"], hidden_size=4, **attributes)],
        {"x": [5, 2, 3]},
        {"w": weights(1, 16, 3), "r": weights(1, 16, 4), "lengths": np.array([5, 3], np.int32)},
    )
    with pytest.raises(UnsupportedError, match=message):
        read(file)


@pytest.mark.parametrize("values", [weights(1, 1, 4), np.zeros((1, 1, 4), np.float32)])
def test_a_first_state_that_is_trained(values: Any) -> None:
    file = model(
        [node("GRU", ["x", "w", "r", "", "", "h"], "y", hidden_size=4)],
        {"x": [5, 1, 3]},
        {"w": weights(1, 12, 3), "r": weights(1, 12, 4), "h": values},
    )
    network = read(file, parameters={"h": "memory.h0"})
    layers = [one["layer"] for one in network.weight_specs() if one["role"] == "value"]
    assert len(layers) == 1
    np.testing.assert_array_equal(network.weight(layers[0], "value"), values)


def test_first_states_of_two_directions_that_are_trained_are_refused() -> None:
    file = model(
        [node("GRU", ["x", "w", "r", "", "", "h"], "y", hidden_size=4, direction="bidirectional")],
        {"x": [5, 1, 3]},
        {"w": weights(2, 12, 3), "r": weights(2, 12, 4), "h": weights(2, 1, 4)},
    )
    with pytest.raises(UnsupportedError, match=r"'memory\.h0' would not learn"):
        read(file, parameters={"h": "memory.h0"})
