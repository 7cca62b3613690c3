"""Recurrent layers against the float64 reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from ops.single_layer import seeds, values
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
        "lstm/recurrent.value": own["recurrent"][None],
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
        "gru/recurrent.value": own["recurrent"][None],
        "gru/candidate.value": own["candidate"][None],
    }
    if reset_after:
        weights["gru/bias.value"] = own["state_bias"][None, None]
    found = run(network, weights, [x, *states])
    hidden = states[0] if has_state else 0.0
    wanted = recurrent.gru(x, own, hidden=hidden, reset_after=reset_after, reverse=reverse)
    for result, expected in zip(found, (wanted, wanted[:, 0 if reverse else -1]), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), seeds)
@settings(max_examples=20)
def test_svdf(batch: int, steps: int, features: int, memory: int, rank: int, seed: int) -> None:
    units = 1 + seed % 4
    x = values(seed, (batch, steps, features))
    network = mpscnn.Network(input=(steps, features))
    network.output(network.svdf(network.input, units, memory, rank=rank, name="svdf"))
    own = {
        "features": values(seed + 1, (units * rank, features)),
        "time": values(seed + 2, (units * rank, memory)),
        "bias": values(seed + 3, (units,)),
    }
    weights = {
        "svdf/features.weight": own["features"].reshape(units * rank, 1, 1, features),
        "svdf/time.weight": own["time"].reshape(units * rank, memory, 1, 1),
        "svdf/bias.value": own["bias"].reshape(1, 1, units),
    }
    (found,) = run(network, weights, [x])
    np.testing.assert_allclose(found, recurrent.svdf(x, own, rank), rtol=1e-4, atol=1e-5)


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
    def layer(network: mpscnn.Network, units: int = 3) -> Any:
        method = getattr(network, kind)
        return method(network.input, units, 2) if kind == "svdf" else method(network.input, units)

    with pytest.raises(mpscnn.ShapeError, match=rf"{kind}: takes \(n, steps, features\)"):
        layer(mpscnn.Network(input=(None, 4)))
    with pytest.raises(mpscnn.ShapeError, match=rf"{kind}: takes \(n, steps, features\)"):
        layer(mpscnn.Network(input=(4,)))
    with pytest.raises(mpscnn.ParameterError, match=f"{kind}: units must be a number of at least 1, got 0"):
        layer(mpscnn.Network(input=(5, 4)), 0)
    if kind != "svdf":
        with pytest.raises(mpscnn.ParameterError, match=f"{kind}: 501 steps; supported are up to 500"):
            layer(mpscnn.Network(input=(501, 4)))
