"""Test recurrent layers: LSTM, GRU, filters over time, and their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Array, Layers, Operation, Refusal, Sample, refusals
from ops.single_layer import seeds, values
from reference import recurrent
from reference.neuron import neuron

import mpscnn
from mpscnn import Network, ShapeError, Tensor

#: Extents of batch, steps, sequences, features and units.
sizes = st.tuples(*(st.integers(1, maximum) for maximum in (2, 6, 3, 5, 9)))
directions = st.fixed_dictionaries({"reverse": st.booleans()})


def state_of(inputs: list[Array], place: int) -> Any:
    """Return the state before the first step: the only step of the input at `place`, or 0 without such an input."""
    return inputs[place][:, 0] if len(inputs) > place else 0.0


# ---- Operations ----------------------------------------------------------------------------------------------


@st.composite
def chosen_functions(draw: st.DrawFn, operation: str, trained: bool) -> dict[str, Any]:
    """Draw functions with their parameters. With `trained`, networks can be trained through them."""
    squashing = [("tanh", 1.25, 0.75), ("softsign", 0.0, 0.0), ("clamp", -1.0, 0.5)]
    known = {
        "gate": [("sigmoid", 0.0, 0.0), ("hard_sigmoid", 0.25, 0.5)],
        "candidate": [("tanh", 1.25, 0.75), ("relu", 0.0, 0.0), ("linear", 0.5, 0.25)]
        if trained
        else squashing,
    }
    known |= {"output": known["candidate"]} if operation == "lstm" else {}
    attributes: dict[str, Any] = {}
    for role, choices in known.items():
        kind, a, b = draw(st.sampled_from(choices))
        attributes |= {role: kind, f"{role}_a": a, f"{role}_b": b}
    return attributes


def options(sample: Sample) -> dict[str, Any]:
    """Return the attributes as arguments of the reference, which takes functions."""
    found = dict(sample.attributes)
    for role in ("gate", "candidate", "output"):
        if role in found:
            function = {"kind": found[role]} | {name: found.pop(f"{role}_{name}") for name in "ab"}
            found[role] = lambda x, function=function: neuron(x, function)
    return found


@st.composite
def sums(
    draw: st.DrawFn, operation: str, *, functions: Literal["default", "any", "trained"] = "default"
) -> Sample:
    """Draw the sums of the gates, the states, and the weights of the states."""
    gates, count = (4, 2) if operation == "lstm" else (3, 1)
    (batch, steps, sequences, _, units), seed = draw(sizes), draw(seeds)
    attributes = dict(draw(directions))
    if functions != "default":
        attributes |= draw(chosen_functions(operation, functions == "trained"))
    states = [values(seed + 2 + i, (batch, 1, sequences, units)) for i in range(count * draw(st.booleans()))]
    weights = {"weight": values(seed + 1, (gates * units, units))}
    if operation == "gru":
        attributes["reset_after"] = draw(st.booleans())
        if attributes["reset_after"]:
            weights["bias"] = values(seed + 4, (units,))
    return Sample([values(seed, (batch, steps, sequences, gates * units)), *states], attributes, weights)


def expect_lstm(sample: Sample) -> Any:
    inputs, weight = list(sample.inputs), sample.weights["weight"]
    own = {"input": np.eye(len(weight)), "bias": 0.0, "recurrent": weight.T}
    states = {"hidden": state_of(inputs, 1), "cell": state_of(inputs, 2)}
    steps, cell = recurrent.lstm(inputs[0], own, **states, **options(sample))
    return bounded(sample, np.concatenate([steps, cell[:, None]], axis=1))


def expect_gru(sample: Sample) -> Any:
    inputs, weight = list(sample.inputs), sample.weights["weight"]
    units = weight.shape[1]
    own = {"input": np.eye(len(weight)), "bias": 0.0, "recurrent": weight[: 2 * units].T}
    own |= {"candidate": weight[2 * units :].T, "state_bias": sample.weights.get("bias", 0.0)}
    return bounded(sample, recurrent.gru(inputs[0], own, hidden=state_of(inputs, 1), **options(sample)))


def bounded(sample: Sample, reference: Array) -> Any:
    """Return the reference and the bound of its errors. float16 and bfloat16 round the states of each step."""
    steps = sample.inputs[0].shape[1]
    rounding = {"float32": 0.0, "float16": 2.0**-10, "bfloat16": 2.0**-8}[sample.precision]
    return reference, 1e-4 * np.abs(reference) + 1e-5 + steps * rounding


def of_sums(operation: str) -> st.SearchStrategy[Sample]:
    """Draw the inputs of a gradient: the incoming gradient, the sums, their result, weights, bias and states."""

    @st.composite
    def samples(draw: st.DrawFn) -> Sample:
        sample, seed = draw(sums(operation)), draw(seeds)
        result, _ = (expect_lstm if operation == "lstm" else expect_gru)(sample)
        gradient, (x, *states) = values(seed, result.shape), sample.inputs
        weights = [
            sample.weights["weight"],
            *(bias[None] for bias in [sample.weights.get("bias")] if bias is not None),
        ]
        return Sample([gradient, x, result.astype(np.float32), *weights, *states], sample.attributes)

    return samples()


def expect_lstm_gradient(sample: Sample) -> Any:
    gradient, x, _, weight, *_ = inputs = list(sample.inputs)
    states = {"hidden": state_of(inputs, 4), "cell": state_of(inputs, 5)}
    reference = recurrent.lstm_gradient(gradient, x, weight, **states, **sample.attributes)
    return reference, 1e-4 * (np.abs(reference) + 1 + np.abs(reference).max())


def expect_gru_gradient(sample: Sample) -> Any:
    gradient, x, _, weight, *others = sample.inputs
    bias = others.pop(0)[0] if sample.attributes["reset_after"] else None
    options = {"hidden": state_of(others, 0), "reverse": sample.attributes["reverse"]}
    reference = recurrent.gru_gradient(gradient, x, weight, bias, **options)
    return reference, 1e-4 * (np.abs(reference) + 1 + np.abs(reference).max())


# ---- Methods of networks -------------------------------------------------------------------------------------


def recurrent_layers(kind: str) -> st.SearchStrategy[Layers]:
    """Draw an LSTM or a GRU with weights of its inputs, from states or from zeros."""

    @st.composite
    def layers(draw: st.DrawFn) -> Layers:
        (batch, steps, sequences, features, units), seed = draw(sizes), draw(seeds)
        options, gates = dict(draw(directions)), 4 if kind == "lstm" else 3
        names = ["hidden", "cell"][: gates - 2] if draw(st.booleans()) else []
        own = {
            "input": values(seed, (features, gates * units)),
            "bias": values(seed + 1, (gates * units,)),
            "recurrent": values(seed + 2, (units, gates * units)),
            "state_bias": values(seed + 3, (units,)),
        }
        weights = {
            f"{kind}/input.weight": own["input"].T.reshape(gates * units, 1, 1, features),
            f"{kind}/input.bias": own["bias"],
            f"{kind}/recurrent.weight": own["recurrent"].T,
        }
        if kind == "gru":
            own["candidate"], own["recurrent"] = (
                own["recurrent"][:, 2 * units :],
                own["recurrent"][:, : 2 * units],
            )
            options["reset_after"] = draw(st.booleans())
            if options["reset_after"]:
                weights["gru/recurrent.bias"] = own["state_bias"]

        def build(network: Network, x: Tensor, *states: Tensor) -> list[Tensor]:
            given = dict(zip(names, states, strict=True))
            made = getattr(network, kind)(x, units, name=kind, **given, **options)
            return [tensor for tensor in made if tensor is not None]

        def expected(x: Array, *states: Array) -> list[Array]:
            given = dict(zip(names, states, strict=True))
            found = getattr(recurrent, kind)(x, own, **given, **options)
            steps, *cell = found if kind == "lstm" else [found]
            return [steps, steps[:, 0 if options["reverse"] else -1], *cell]

        shapes = [(batch, steps, sequences, features), *[(batch, sequences, units)] * len(names)]
        shapes_of_one = [shape[1:] for shape in shapes]
        return Layers(shapes_of_one, build, expected, shapes, weights=weights, rtol=1e-4, atol=1e-5)

    return layers()


@st.composite
def filters(draw: st.DrawFn) -> Layers:
    """Draw filters over time, with the numbers of the steps before the first one or without them."""
    (batch, steps, rank, features, memory), seed = draw(sizes), draw(seeds)
    units = 1 + seed % 4
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

    def build(network: Network, x: Tensor, *history: Tensor) -> list[Tensor]:
        made = network.svdf(x, units, memory, rank=rank, history=(*history, None)[0], name="svdf")
        return [tensor for tensor in made if tensor is not None]

    def expected(x: Array, *history: Array) -> list[Array]:
        result = [recurrent.svdf(x, own, rank, *history)]
        numbers = [np.concatenate([one, x @ own["features"].T], axis=1)[:, steps:] for one in history]
        return result + numbers

    shapes = [(batch, steps, features)]
    if memory > 1 and draw(st.booleans()):
        shapes.append((batch, memory - 1, units * rank))
    shapes_of_one = [shape[1:] for shape in shapes]
    return Layers(shapes_of_one, build, expected, shapes, weights=weights, rtol=1e-4, atol=1e-5)


def methods(kind: str) -> list[Refusal]:
    """Return wrong uses of a method, which differ from those of the operation."""

    def add(net: Network, x: Tensor, units: int = 3, **options: Any) -> Any:
        return getattr(net, kind)(x, units, *([2] if kind == "svdf" else []), **options)

    axes = {rf"{kind}: takes \(n, steps, features\)": add}
    units = {f"{kind}: units must be a number of at least 1, got 0": lambda net, x: add(net, x, 0)}
    return [
        *refusals(axes, [(None, 4)], ShapeError),
        *refusals(axes, [(4,)], ShapeError),
        *refusals(units, [(5, 4)]),
    ]


def functions(kind: str) -> Any:
    """Return a use of a function that gates cannot have."""
    function = {"kind": kind, "a": 1.0, "b": 0.0, "c": 2.0}
    return lambda net, x: net.lstm(x, 4, activation=function)


def of_shapes(message: str, *shapes: tuple[int, ...]) -> list[Refusal]:
    return refusals({message: {}}, shapes, ShapeError)


STATE = "a state, must have the shape"
LSTM = Operation(
    "lstm",
    expect_lstm,
    draws={"sums": sums("lstm"), "other functions": sums("lstm", functions="any")},
    gradient_draws={"sums": sums("lstm"), "other functions": sums("lstm", functions="trained")},
    onnx_draws={"sums": sums("lstm")},  # ONNX's recurrent layers have no clamp
    layers={"layers": recurrent_layers("lstm"), "filters": filters()},
    refused=[
        *methods("lstm"),
        *methods("svdf"),
        *of_shapes("lstm: input 0 must have 4 axes", (5, 8)),
        *of_shapes(r"the channels of input 0 must be those of 4 gates, got \(n, 5, 1, 6\)", (5, 1, 6)),
        *of_shapes(f"lstm: input 2, {STATE}", (5, 1, 8), (1, 1, 2), (1, 2, 2)),
        *refusals({"lstm: takes 1 or 3 inputs, got 2": {}}, [(5, 1, 8), (1, 1, 2)]),
        *refusals(
            {
                f"lstm: candidate must be a function.*got {kind}": functions(kind)
                for kind in ("prelu", "power", "exponential", "logarithm")
            },
            [(5, 3)],
        ),
        *refusals(
            {"svdf: a memory of 1 has no history": lambda net, x, h: net.svdf(x, 4, 1, history=h)},
            [(5, 3), (1, 4)],
        ),
    ],
)
GRU = Operation(
    "gru",
    expect_gru,
    draws={"sums": sums("gru"), "other functions": sums("gru", functions="any")},
    gradient_draws={"sums": sums("gru"), "other functions": sums("gru", functions="trained")},
    onnx_draws={"sums": sums("gru")},  # ONNX's recurrent layers have no clamp
    layers={"layers": recurrent_layers("gru")},
    refused=[
        *methods("gru"),
        *of_shapes("gru: the channels of input 0 must be those of 3 gates", (5, 1, 8)),
        *of_shapes(f"gru: input 1, {STATE}", (5, 1, 6), (2, 1, 2)),
    ],
)


def wrong_inputs(shapes: Sequence[tuple[int, ...]], messages: Mapping[int, str]) -> list[Refusal]:
    """Return wrong uses: the input with the number of each message has one column too many."""
    return [
        refusal
        for place, message in messages.items()
        for refusal in refusals(
            {message: {}},
            [(*shape[:-1], shape[-1] + (i == place)) for i, shape in enumerate(shapes)],
            ShapeError,
        )
    ]


WRONG = {
    0: "input 0 must have the shape of the result",
    1: "the channels of input 0 must be those of",
    2: "input 2, the result, must have the shape",
    3: "input 3, the weight, must have the shape",
}
LSTM_INPUTS = (2, 8, 5, 6), (2, 7, 5, 24), (2, 8, 5, 6), (24, 6)
GRU_INPUTS = (2, 7, 5, 6), (2, 7, 5, 18), (2, 7, 5, 6), (18, 6), (1, 6)
LSTM_GRADIENT = Operation(
    "lstm_gradient",
    expect_lstm_gradient,
    draws={"sums": of_sums("lstm")},
    refused=[
        *wrong_inputs(LSTM_INPUTS, WRONG),
        *refusals({"candidate must be a function whose derivative": {"candidate": "softsign"}}, LSTM_INPUTS),
        *refusals({"lstm_gradient: takes 4 or 6 inputs, got 5": {}}, [*LSTM_INPUTS, (2, 1, 5, 6)]),
        *refusals({f"input 5, {STATE}": {}}, [*LSTM_INPUTS, (2, 1, 5, 6), (2, 1, 5, 7)], ShapeError),
    ],
    training=True,
)
GRU_GRADIENT = Operation(
    "gru_gradient",
    expect_gru_gradient,
    draws={"sums": of_sums("gru")},
    refused=[
        *wrong_inputs(GRU_INPUTS, WRONG | {4: "input 4, the bias, must have the shape"}),
        *refusals({"gate must be a function whose derivative": {"gate": "softsign"}}, GRU_INPUTS),
        *refusals({"gru_gradient: input 4, the bias, is missing": {}}, GRU_INPUTS[:4]),
        *refusals({f"input 5, {STATE}": {}}, [*GRU_INPUTS, (2, 1, 5, 7)], ShapeError),
    ],
    training=True,
)


# ---- Tests of properties that the records for generic.py cannot describe -------------------------------------


def test_filters_over_time_go_on_where_they_stopped() -> None:
    whole, part = mpscnn.Network(input=(12, 3)), mpscnn.Network(input={"x": (4, 3), "h": (3, 10)})
    whole.output(whole.svdf(whole.input, 5, 4, rank=2, name="svdf").steps)
    made = part.svdf(part.inputs[0], 5, 4, rank=2, history=part.inputs[1], name="svdf")
    assert made.history is not None
    part.output(made.steps)
    part.output(made.history)
    whole.initialize_weights(seed=1)
    part.set_weights(dict(whole.weights), layout="OHWI")
    x = values(0, (2, 12, 3))
    expected = whole.compile().session().run(x)
    session, history, found = part.compile().session(), np.zeros((2, 3, 10), np.float32), []
    for first in range(0, 12, 4):
        steps, history = session.run([x[:, first : first + 4], history]).values()  # type: ignore[union-attr]
        found.append(steps)
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, rtol=1e-5, atol=1e-6)


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


@pytest.mark.parametrize(("kind", "gates"), [("lstm", 4), ("gru", 3)])
def test_numbers_of_600_steps(kind: str, gates: int) -> None:
    """Weights of about 1/4 let a state depend on many earlier steps."""
    network = mpscnn.Network(input=(600, 2))
    network.output(getattr(network, kind)(network.input, 3, name=kind).steps)
    own = {
        "input": values(1, (2, gates * 3)),
        "bias": values(2, (gates * 3,)),
        "recurrent": values(3, (3, gates * 3)) / 4,
    }
    weights = {
        f"{kind}/input.weight": own["input"].T.reshape(gates * 3, 1, 1, 2),
        f"{kind}/input.bias": own["bias"],
        f"{kind}/recurrent.weight": own["recurrent"].T,
    }
    x, options = values(0, (2, 600, 2)), {}
    if kind == "gru":
        own |= {"candidate": own["recurrent"][:, 6:], "recurrent": own["recurrent"][:, :6]}
        own["state_bias"] = weights["gru/recurrent.bias"] = values(4, (3,))
        options["reset_after"] = True
    network.set_weights(weights, layout="OHWI")
    expected = getattr(recurrent, kind)(x[:, :, None], own, **options)
    steps = (expected[0] if kind == "lstm" else expected)[:, :, 0]
    found = network.compile().session().run(x)
    np.testing.assert_allclose(np.asarray(found), steps, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_sequence_beyond_max_memory(kind: str) -> None:
    """The states of all steps are kept, so 600 steps need more memory than 60."""

    def layer(steps: int) -> Network:
        network = Network(input=(steps, 2))
        network.output(getattr(network, kind)(network.input, 64).steps)
        network.initialize_weights(seed=0)
        return network

    free = layer(60).compile(device="cpu")
    limit = free.weight_bytes + free.arena_bytes((1, 60, 2))
    layer(60).compile(device="cpu", max_memory=limit).session().run(values(0, (1, 60, 2)))
    with pytest.raises(ShapeError, match=rf"inputs of \(1, 600, 2\) takes \d+ bytes.*allows {limit}"):
        layer(600).compile(device="cpu", max_memory=limit).session().run(values(0, (1, 600, 2)))


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


OPERATIONS = [LSTM, GRU, LSTM_GRADIENT, GRU_GRADIENT]


def test_a_gate_function_keeps_its_parameters_if_a_third_one_is_given() -> None:
    net = Network((2, 3))
    net.lstm(net.input, 4, activation={"kind": "linear", "a": 2.0, "b": 0.5, "c": 1.0})
    (layer,) = (node for node in net.to_dict()["nodes"] if node["operation"] == "lstm")
    assert (layer["attributes"]["candidate_a"], layer["attributes"]["candidate_b"]) == (2.0, 0.5)
