"""Recurrent layers against the float64 reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds, values
from reference import recurrent

import mpscnn

sizes = st.tuples(
    st.integers(1, 2), st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 9)
)


def run(
    network: mpscnn.Network, weights: Mapping[str, NDArray[Any]], inputs: list[NDArray[Any]]
) -> list[Any]:
    network.set_weights(dict(weights))
    results = network.compile(precision="float32").session(threads=1).run(inputs)
    return list(results.values()) if isinstance(results, dict) else [results]


@given(sizes, st.booleans(), st.booleans(), seeds)
@settings(max_examples=20)
def test_lstm(size: tuple[int, int, int, int, int], has_states: bool, reverse: bool, seed: int) -> None:
    batch, steps, sequences, features, units = size
    x = values(seed, (batch, steps, sequences, features))
    states = [values(seed + 1 + place, (batch, sequences, units)) for place in range(2)] if has_states else []
    network = mpscnn.Network(
        input={name: one.shape[1:] for name, one in zip("xhc", (x, *states), strict=False)}
    )
    given = dict(zip(("hidden", "cell"), network.inputs[1:], strict=False))
    made = network.lstm(network.inputs[0], units, reverse=reverse, name="lstm", **given)
    assert made.cell is not None
    for tensor in made:
        network.output(tensor)
    own = {
        "input": values(seed + 3, (features, 4 * units)),
        "bias": values(seed + 4, (4 * units,)),
        "recurrent": values(seed + 5, (units, 4 * units)),
    }
    weights = {
        "lstm/input.weight": own["input"].T.reshape(4 * units, 1, 1, features),
        "lstm/input.bias": own["bias"],
        "lstm/recurrent.weight": own["recurrent"].T,
    }
    found = run(network, weights, [x, *states])
    hidden, cell = states if has_states else (0.0, 0.0)
    wanted, last_cell = recurrent.lstm(x, own, hidden=hidden, cell=cell, reverse=reverse)
    last = wanted[:, 0 if reverse else -1]
    for result, expected in zip(found, (wanted, last, last_cell), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@given(sizes, st.booleans(), st.booleans(), st.booleans(), seeds)
@settings(max_examples=20)
def test_gru(
    size: tuple[int, int, int, int, int], has_state: bool, reset_after: bool, reverse: bool, seed: int
) -> None:
    batch, steps, sequences, features, units = size
    x = values(seed, (batch, steps, sequences, features))
    states = [values(seed + 1, (batch, sequences, units))] if has_state else []
    network = mpscnn.Network(
        input={name: one.shape[1:] for name, one in zip("xh", (x, *states), strict=False)}
    )
    made = network.gru(
        network.inputs[0],
        units,
        reset_after=reset_after,
        reverse=reverse,
        name="gru",
        hidden=network.inputs[1] if has_state else None,
    )
    assert made.cell is None
    network.output(made.steps)
    network.output(made.last)
    own = {
        "input": values(seed + 3, (features, 3 * units)),
        "bias": values(seed + 4, (3 * units,)),
        "recurrent": values(seed + 5, (units, 2 * units)),
        "candidate": values(seed + 6, (units, units)),
        "state_bias": values(seed + 7, (units,)),
    }
    weights = {
        "gru/input.weight": own["input"].T.reshape(3 * units, 1, 1, features),
        "gru/input.bias": own["bias"],
        "gru/recurrent.weight": np.concatenate([own["recurrent"], own["candidate"]], axis=1).T,
    }
    if reset_after:
        weights["gru/recurrent.bias"] = own["state_bias"]
    found = run(network, weights, [x, *states])
    hidden = states[0] if has_state else 0.0
    wanted = recurrent.gru(x, own, hidden=hidden, reset_after=reset_after, reverse=reverse)
    for result, expected in zip(found, (wanted, wanted[:, 0 if reverse else -1]), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@given(
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
    seeds,
)
@settings(max_examples=30)
def test_svdf(
    batch: int, steps: int, features: int, memory: int, rank: int, has_history: bool, seed: int
) -> None:
    units = 1 + seed % 4
    x = values(seed, (batch, steps, features))
    has_history = has_history and memory > 1
    history = values(seed + 4, (batch, memory - 1, units * rank))
    shapes = {"x": x.shape[1:]} | ({"h": history.shape[1:]} if has_history else {})
    network = mpscnn.Network(input=shapes)
    given = network.inputs[1] if has_history else None
    made = network.svdf(network.inputs[0], units, memory, rank=rank, history=given, name="svdf")
    network.output(made.steps)
    if made.history is not None:
        network.output(made.history)
    own = {
        "features": values(seed + 1, (units * rank, features)),
        "time": values(seed + 2, (units * rank, memory)),
        "bias": values(seed + 3, (units,)),
    }
    weights = {
        "svdf/features.weight": own["features"].reshape(units * rank, 1, 1, features),
        "svdf/time.weight": own["time"].reshape(units, rank, memory, 1).transpose(0, 2, 3, 1),
        "svdf/time.bias": own["bias"],
    }
    found = run(network, weights, [x, history] if has_history else [x])
    expected = recurrent.svdf(x, own, rank, history if has_history else None)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    if has_history:
        numbers = np.concatenate([history, x @ own["features"].T], axis=1)
        np.testing.assert_allclose(found[1], numbers[:, steps:], rtol=1e-4, atol=1e-5)


def test_filters_over_time_go_on_where_they_stopped() -> None:
    whole, part = mpscnn.Network(input=(12, 3)), mpscnn.Network(input={"x": (4, 3), "h": (3, 10)})
    whole.output(whole.svdf(whole.input, 5, 4, rank=2, name="svdf").steps)
    made = part.svdf(part.inputs[0], 5, 4, rank=2, history=part.inputs[1], name="svdf")
    assert made.history is not None
    part.output(made.steps)
    part.output(made.history)
    whole.initialize_weights(seed=1)
    part.set_weights(dict(whole.weights))
    x = values(0, (2, 12, 3))
    expected = whole.compile().session().run(x)
    session, history, found = part.compile().session(), np.zeros((2, 3, 10), np.float32), []
    for first in range(0, 12, 4):
        steps, history = session.run([x[:, first : first + 4], history]).values()  # type: ignore[union-attr]
        found.append(steps)
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, rtol=1e-5, atol=1e-6)


@given(sizes, st.booleans(), st.booleans(), seeds)
@settings(max_examples=20)
def test_gradients_of_an_lstm(
    size: tuple[int, int, int, int, int], has_states: bool, reverse: bool, seed: int
) -> None:
    batch, steps, sequences, _, units = size
    gradient = values(seed, (batch, steps + 1, sequences, units))
    sums, weight = (
        values(seed + 1, (batch, steps, sequences, 4 * units)),
        values(seed + 2, (4 * units, units)),
    )
    states = [values(seed + 3 + place, (batch, 1, sequences, units)) for place in range(2)] * has_states
    result = layer("lstm", sums, weight, states, {"reverse": reverse})
    found = run_training("lstm_gradient", [gradient, sums, result, weight, *states], {"reverse": reverse})
    hidden, cell = (state[:, 0] for state in states) if has_states else (0.0, 0.0)
    expected = recurrent.lstm_gradient(gradient, sums, weight, hidden=hidden, cell=cell, reverse=reverse)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * (1 + np.abs(expected).max()))


@given(sizes, st.booleans(), st.booleans(), st.booleans(), seeds)
@settings(max_examples=20)
def test_gradients_of_a_gru(
    size: tuple[int, int, int, int, int], has_state: bool, reset_after: bool, reverse: bool, seed: int
) -> None:
    batch, steps, sequences, _, units = size
    gradient = values(seed, (batch, steps, sequences, units))
    sums, weight = (
        values(seed + 1, (batch, steps, sequences, 3 * units)),
        values(seed + 2, (3 * units, units)),
    )
    states = [values(seed + 3, (batch, 1, sequences, units))] * has_state
    bias = values(seed + 4, (units,))
    attributes = {"reverse": reverse, "reset_after": reset_after}
    result = layer("gru", sums, weight, states, attributes, bias if reset_after else None)
    inputs = [gradient, sums, result, weight, *([bias[None]] * reset_after), *states]
    found = run_training("gru_gradient", inputs, attributes)
    expected = recurrent.gru_gradient(
        gradient,
        sums,
        weight,
        bias if reset_after else None,
        hidden=states[0][:, 0] if has_state else 0.0,
        reverse=reverse,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * (1 + np.abs(expected).max()))


def layer(
    operation: str,
    sums: NDArray[Any],
    weight: NDArray[Any],
    states: list[NDArray[Any]],
    attributes: dict[str, Any],
    bias: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return the result of one operation."""
    arrays = [sums, *states]
    network = mpscnn.Network(input={f"x{place}": one.shape[1:] for place, one in enumerate(arrays)})
    network.output(network.layer(operation, network.inputs, attributes, name="layer"))
    biases = {} if bias is None else {"layer.bias": bias}
    (result,) = run(network, {"layer.weight": weight} | biases, arrays)
    return np.asarray(result)


def test_a_state_that_lacks_is_zero() -> None:
    x, h = values(0, (2, 5, 3)), values(1, (2, 4))
    results = []
    for has_cell in (False, True):
        network = mpscnn.Network(input={"x": (5, 3), "h": (4,)} | ({"c": (4,)} if has_cell else {}))
        cell = network.inputs[2] if has_cell else None
        network.output(network.lstm(network.inputs[0], 4, hidden=network.inputs[1], cell=cell).steps)
        network.initialize_weights(seed=2)
        results.append(network.compile().session().run([x, h, np.zeros_like(h)][: 2 + has_cell]))
    np.testing.assert_array_equal(*results)


def test_sequences_longer_than_500_steps() -> None:
    network = mpscnn.Network(input=(3000, 2))
    network.output(network.gru(network.input, 3).last)
    network.initialize_weights(seed=0)
    assert len(network.to_dict()["nodes"]) < 10
    found = network.compile().session().run(values(0, (1, 3000, 2)))
    assert isinstance(found, np.ndarray)
    assert np.isfinite(found).all()


def test_float16_rounds_the_states_of_each_step() -> None:
    network = mpscnn.Network(input=(9, 3))
    made = network.lstm(network.input, 5)
    assert made.cell is not None
    for tensor in (made.steps, made.cell):
        network.output(tensor)
    network.initialize_weights(seed=1)
    x = values(0, (2, 9, 3), precision="float16")
    halves = list(network.compile(precision="float16").session().run(x).values())  # type: ignore[union-attr]
    floats = list(network.compile().session().run(x).values())  # type: ignore[union-attr]
    for half, exact in zip(halves, floats, strict=True):
        np.testing.assert_array_equal(half, half.astype(np.float16).astype(np.float32))
        np.testing.assert_allclose(half, exact, atol=9 * 2.0**-10)


@pytest.mark.parametrize("kind", ["prelu", "power", "exponential", "logarithm"])
def test_functions_of_gates_are_refused_by_name(kind: str) -> None:
    network = mpscnn.Network(input=(5, 3))
    function = {"kind": kind, "a": 1.0, "b": 0.0, "c": 2.0}
    with pytest.raises(mpscnn.ParameterError, match=f"lstm: candidate must be a function.*got {kind}"):
        network.lstm(network.input, 4, activation=function)


@pytest.mark.parametrize(
    ("operation", "shapes", "message"),
    [
        ("lstm", [(5, 8)], "lstm: input 0 must have 4 axes"),
        (
            "lstm",
            [(5, 1, 6)],
            r"lstm: the channels of input 0 must be those of 4 gates, got \(n, 5, 1, 6\)",
        ),
        ("lstm", [(5, 1, 8), (1, 1, 2)], "lstm: takes 1 or 3 inputs, got 2"),
        ("lstm", [(5, 1, 8), (1, 1, 2), (1, 2, 2)], "lstm: input 2, a state, must have the shape"),
        ("gru", [(5, 1, 8)], "gru: the channels of input 0 must be those of 3 gates"),
        ("gru", [(5, 1, 6), (2, 1, 2)], "gru: input 1, a state, must have the shape"),
    ],
)
def test_shapes_are_refused(operation: str, shapes: list[tuple[int, ...]], message: str) -> None:
    network = mpscnn.Network(input={f"x{place}": shape for place, shape in enumerate(shapes)})
    with pytest.raises(mpscnn.Error, match=message):
        network.layer(operation, network.inputs, {})


def test_two_layers_have_names_of_their_own() -> None:
    network = mpscnn.Network(input=(3, 2))
    x = network.lstm(network.lstm(network.input, 4).steps, 4).last
    network.output(x)
    layers = {str(spec["layer"]) for spec in network.weight_specs()}
    assert layers == {"lstm/input_1", "lstm/recurrent_1", "lstm/input_2", "lstm/recurrent_2"}


def test_training_changes_all_weights() -> None:
    network = mpscnn.Network(input=(5, 3))
    y = network.gru(network.lstm(network.input, 4, name="lstm").steps, 4, name="gru").last
    network.output(network.dense(y, 2, name="dense"))
    network.initialize_weights(seed=3)
    before = {name: np.array(value) for name, value in network.weights.items()}
    trainer = mpscnn.Trainer(network, loss="mean_squared_error", optimizer="sgd")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8, 5, 3)).astype(np.float32)
    losses = [trainer.step(x, x[:, -1, :2]) for _ in range(30)]
    assert losses[-1] < losses[0]
    after = trainer.network.weights
    assert not [name for name, value in before.items() if np.array_equal(value, after[name])]


@pytest.mark.parametrize("kind", ["lstm", "gru", "svdf"])
def test_what_is_refused(kind: str) -> None:
    def add(network: mpscnn.Network, units: int = 3) -> Any:
        method = getattr(network, kind)
        return method(network.input, units, 2) if kind == "svdf" else method(network.input, units)

    with pytest.raises(mpscnn.ShapeError, match=rf"{kind}: takes \(n, steps, features\)"):
        add(mpscnn.Network(input=(None, 4)))
    with pytest.raises(mpscnn.ShapeError, match=rf"{kind}: takes \(n, steps, features\)"):
        add(mpscnn.Network(input=(4,)))
    with pytest.raises(mpscnn.ParameterError, match=f"{kind}: units must be a number of at least 1, got 0"):
        add(mpscnn.Network(input=(5, 4)), 0)


def test_a_memory_of_one_step_has_no_history() -> None:
    network = mpscnn.Network(input={"x": (5, 3), "h": (1, 4)})
    with pytest.raises(mpscnn.ParameterError, match="svdf: a memory of 1 has no history"):
        network.svdf(network.inputs[0], 4, 1, history=network.inputs[1])
