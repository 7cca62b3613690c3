"""Compare recurrent layers of Core ML's programs and neural networks with formulas in numpy.

The formulas are those of Core ML's specification of neural networks. coremltools' tests show that programs compute the
same, and in which order a reversed layer gives its results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml.test_coreml_programs import compare, run_program
from converters.coreml_writer import Fill, Program, add, array, model, numbers, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.neuron import neuron
from reference.recurrent import gru, lstm

from mpscnn import converters
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.errors import WeightsError

Array = NDArray[Any]
Function = Callable[[Array], Array]


FUNCTIONS: dict[str, Function] = {
    "sigmoid": lambda x: neuron(x, {"kind": "sigmoid"}),
    "tanh": np.tanh,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "relu": lambda x: np.maximum(x, 0.0),
    "linear": lambda x: x,
}
GATES = {"lstm": "ifog", "gru": "rnz", "rnn": "n"}  # the order of gates in programs


class Weights:
    """Random weights for each gate of one direction."""

    def __init__(self, draw: np.random.Generator, gates: str, features: int, units: int) -> None:
        shapes = {"input": (units, features), "state": (units, units), "bias": (units,), "other": (units,)}
        self.of = {
            role: {gate: draw.uniform(-0.8, 0.8, shape).astype(np.float32) for gate in gates}
            for role, shape in shapes.items()
        }

    def joined(self, role: str, gates: str) -> NDArray[np.float32]:
        return np.concatenate([self.of[role][gate] for gate in gates])

    def sums(self, gate: str, x: Array, h: Array) -> Array:
        of = {role: gates[gate].astype(np.float64) for role, gates in self.of.items()}
        return np.asarray(x @ of["input"].T + h @ of["state"].T + of["bias"])


def computed(
    kind: str,
    x: Array,
    weights: Weights,
    functions: Sequence[str],
    states: Sequence[Array],
    *,
    reset_after: bool,
) -> tuple[Array, list[Array]]:
    """Return all steps in the order of computation, and the last states. x is (steps, sequences, features)."""
    first, *others = (FUNCTIONS[name] for name in functions)
    cells = []
    if kind == "rnn":
        h, steps = states[0].astype(np.float64), np.zeros((*x.shape[:2], states[0].shape[-1]))
        for place, now in enumerate(x.astype(np.float64)):
            steps[place] = h = first(weights.sums("n", now, h))
    elif kind == "lstm":
        own = {"input": weights.joined("input", "ifog").T, "recurrent": weights.joined("state", "ifog").T}
        own["bias"] = weights.joined("bias", "ifog")
        h, c = states
        found, cell = lstm(
            x.swapaxes(0, 1), own, hidden=h, cell=c, gate=first, candidate=others[0], output=others[1]
        )
        steps, cells = found.swapaxes(0, 1), [cell]
    else:
        own = {"input": weights.joined("input", "zrn").T, "recurrent": weights.joined("state", "zr").T}
        own |= {"bias": weights.joined("bias", "zrn"), "candidate": weights.joined("state", "n").T}
        own["state_bias"] = weights.joined("other", "n")
        named = {"reset_after": reset_after, "gate": first, "candidate": others[0]}
        steps = gru(x.swapaxes(0, 1), own, hidden=states[0], **named).swapaxes(0, 1)
    return steps, [steps[-1], *cells]


def _both(
    kind: str,
    x: Array,
    weights: Sequence[Weights],
    functions: Sequence[str],
    states: Sequence[Array],
    *,
    reverse: bool = False,
    reset_after: bool = False,
) -> tuple[Array, Array, list[list[Array]]]:
    """Return all steps, the last result, and the last states of each direction."""
    count = len(states) // len(weights)
    made = [
        computed(kind, x[::-1] if reverse or place else x, own, functions, states[place * count :][:count],
                 reset_after=reset_after)
        for place, own in enumerate(weights)
    ]  # fmt: skip
    # With two directions, results have the order of the input; with one, the order of computation.
    steps = np.concatenate([made[0][0], *(steps[::-1] for steps, _ in made[1:])], -1)
    last = np.concatenate([steps[-1:] for steps, _ in made], -1)
    return steps, last, [own for _, own in made]


# ---- Programs ------------------------------------------------------------------------------------------------------

_BOUNDED = ["sigmoid", "tanh", "hard_sigmoid"]
_ROLES = {
    "lstm": ["recurrent_activation", "cell_activation", "activation"],
    "gru": ["recurrent_activation", "activation"],
    "rnn": ["activation"],
}


@settings(max_examples=40)
@given(data=st.data())
def test_programs(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    draw = np.random.default_rng(data.draw(st.integers(0, 999)))
    kind = data.draw(st.sampled_from(sorted(GATES)))
    steps, features, units = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4)))
    direction = data.draw(st.sampled_from(["forward", "reverse", *["bidirectional"] * (kind == "lstm")]))
    every_step, with_states, with_bias = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    reset_after = kind == "gru" and data.draw(st.booleans())
    roles = _ROLES[kind]
    functions = [data.draw(st.sampled_from([*_BOUNDED, "relu", "linear"])) for _ in roles]
    gates = GATES[kind]
    count = 1 + (direction == "bidirectional")
    weights = [Weights(draw, gates, features, units) for _ in range(count)]
    if not with_bias:
        for own in weights:
            own.of |= {
                role: {gate: values * 0 for gate, values in own.of[role].items()}
                for role in ("bias", "other")
            }
    x = draw.uniform(-1.0, 1.0, (1, steps, features)).astype(np.float32)
    state_names = ["initial_h", "initial_c"][: 1 + (kind == "lstm")]
    given_states = draw.uniform(-1.0, 1.0, (len(state_names), 1, count * units)).astype(np.float32)
    if not with_states:
        given_states *= 0
    shapes = {"x0": x.shape, **{f"x{place}": (1, count * units) for place in range(1, 1 + len(state_names))}}
    program = Program(shapes if with_states else {"x0": x.shape})
    program.add("transpose", "turned", x="%x0", perm=[1, 0, 2])
    operands: dict[str, Any] = {
        name: f"%x{place + 1}" if with_states else given_states[place]
        for place, name in enumerate(state_names)
    }
    for own, suffix in zip(weights, ("", "_back"), strict=False):
        operands |= {
            f"weight_ih{suffix}": own.joined("input", gates),
            f"weight_hh{suffix}": own.joined("state", gates),
        }
        if with_bias:
            operands[f"bias{suffix}"] = own.joined("bias", gates)
    if reset_after:
        others = weights[0].of["other"]
        inputs = weights[0].joined("bias", gates)
        # Gates add their two biases, so one of them may be 0. Only the candidate needs both.
        separate = np.concatenate([others[gate] if gate == "n" else others[gate] * 0 for gate in gates])
        operands |= {"reset_after": True, "input_bias": inputs, "bias": separate}
    makes = ["steps", "hidden", *["cell"] * (kind == "lstm")]
    program.add(
        kind, " ".join(makes), x="%turned", direction=direction, output_sequence=every_step,
        **dict(zip(roles, functions, strict=True)), **operands,
    )  # fmt: skip
    program.add("transpose", "y", x="%steps", perm=[1, 0, 2])
    program.block.outputs[:] = ["y", *makes[1:]]
    parts = [[state[:, place * units :][:, :units] for state in given_states] for place in range(count)]
    all_steps, last, states = _both(
        kind, x.transpose(1, 0, 2), weights, functions, [one for own in parts for one in own],
        reverse=direction == "reverse", reset_after=reset_after,
    )  # fmt: skip
    expected = [(all_steps if every_step else last).transpose(1, 0, 2)]
    expected += [np.concatenate([own[place] for own in states], -1) for place in range(len(makes) - 1)]
    inputs_given = [x, *(given_states if with_states else [])]
    folder = tmp_path_factory.mktemp("program")
    compare(run_program(program, inputs_given, folder), expected)


@pytest.mark.parametrize(
    ("kind", "operands", "message"),
    [
        ("lstm", {"clip": np.float32(1.0)}, "with limits of its cells"),
        ("lstm", {"peephole": np.ones(9, np.float32)}, "with peepholes"),
        ("lstm", {"activation": "scaled_tanh"}, "its function 'scaled_tanh'"),
        ("rnn", {"activation": "mish"}, "its function 'mish'"),
        ("gru", {"direction": "bidirectional"}, "its direction is 'bidirectional'"),
        ("lstm", {"bias": np.ones(5, np.float32)}, r"its bias has the shape \(5,\) for 12 rows"),
        ("lstm", {"weight_ih": np.ones((4, 6, 1), np.float32)}, "weights"),
    ],
)
def test_settings_that_are_refused(kind: str, operands: dict[str, Any], message: str, tmp_path: Path) -> None:
    zeros, rows = np.zeros((1, 3), np.float32), 3 * len(GATES[kind])
    program = Program({"x0": (1, 5, 6)})
    program.add("transpose", "turned", x="%x0", perm=[1, 0, 2])
    all_operands: dict[str, Any] = {"initial_h": zeros, **({"initial_c": zeros} if kind == "lstm" else {})}
    all_operands |= {"weight_ih": np.ones((rows, 6), np.float32), "weight_hh": np.ones((rows, 3), np.float32)}
    makes = "y last cell" if kind == "lstm" else "y last"
    program.add(kind, makes, x="%turned", **{**all_operands, **operands})
    with pytest.raises((UnsupportedLayersError, WeightsError), match=message):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


# ---- Neural networks -----------------------------------------------------------------------------------------------

_CURVES = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "hard_sigmoid": "sigmoidHard",
    "relu": "ReLU",
    "linear": "linear",
}
_GATE_NAMES = {
    "lstm": {"i": "inputGate", "f": "forgetGate", "o": "outputGate", "g": "blockInput"},
    "gru": {"z": "updateGate", "r": "resetGate", "n": "outputGate"},
}
_ROLE_NAMES = {"input": "WeightMatrix", "state": "RecursionMatrix", "bias": "BiasVector"}
_LAYERS = {"uniDirectionalLSTM": "lstm", "biDirectionalLSTM": "lstm", "gru": "gru", "simpleRecurrent": "rnn"}


def _set_weights(message: Any, kind: str, weights: Weights, *, with_bias: bool) -> None:
    for role, suffix in _ROLE_NAMES.items():
        for gate, values in weights.of[role].items():
            if role == "bias" and not with_bias:
                continue
            prefix = _GATE_NAMES[kind][gate] if kind in _GATE_NAMES else ""
            name = f"{prefix}{suffix}" if prefix else suffix[0].lower() + suffix[1:]
            numbers(getattr(message, name), values)


def _curve(message: Any, name: str) -> None:
    getattr(message, _CURVES[name]).SetInParent()


def _fill(
    layer: str,
    weights: Sequence[Weights],
    functions: Sequence[str],
    sizes: tuple[int, int],
    *,
    reverse: bool = False,
    every_step: bool = True,
    with_bias: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> Fill:
    """Return a function that sets the parameters of a recurrent layer."""
    kind = _LAYERS[layer]

    def fill(p: Any) -> None:
        p.inputVectorSize, p.outputVectorSize = sizes
        if layer != "biDirectionalLSTM":
            p.reverseInput = reverse
        if kind == "lstm":
            p.params.sequenceOutput, p.params.hasBiasVectors = every_step, with_bias
            for name, value in (settings or {}).items():
                setattr(p.params, name, value)
        else:
            p.sequenceOutput = every_step
            setattr(p, "hasBiasVector" if kind == "rnn" else "hasBiasVectors", with_bias)
        if layer == "simpleRecurrent":
            _curve(p.activation, functions[0])
        elif layer == "biDirectionalLSTM":
            for listed in (p.activationsForwardLSTM, p.activationsBackwardLSTM):
                for name in functions:
                    _curve(listed.add(), name)
        else:
            for name in functions:
                _curve(p.activations.add(), name)
        for own in weights:
            place = (
                p
                if kind != "lstm"
                else p.weightParams
                if layer == "uniDirectionalLSTM"
                else p.weightParams.add()
            )
            _set_weights(place, kind, own, with_bias=with_bias)

    return fill


@settings(max_examples=40)
@given(data=st.data())
def test_neural_networks(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Blobs have five axes, as in new files."""
    draw = np.random.default_rng(data.draw(st.integers(0, 999)))
    layer = data.draw(st.sampled_from(sorted(_LAYERS)))
    kind = _LAYERS[layer]
    steps, features, units = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4)))
    reverse, every_step, with_bias, with_states = data.draw(st.tuples(*[st.booleans()] * 4))
    reverse = reverse and layer != "biDirectionalLSTM"
    functions = [data.draw(st.sampled_from(_BOUNDED)) for _ in range({"lstm": 3, "gru": 2, "rnn": 1}[kind])]
    if kind == "lstm":
        functions[2] = data.draw(st.sampled_from(sorted(FUNCTIONS)))
    count = 1 + (layer == "biDirectionalLSTM")
    weights = [Weights(draw, GATES[kind], features, units) for _ in range(count)]
    if not with_bias:
        for own in weights:
            own.of["bias"] = {gate: values * 0 for gate, values in own.of["bias"].items()}
    more = {"cellClipThreshold": 500.0, "forgetBias": data.draw(st.booleans())} if kind == "lstm" else {}
    x = draw.uniform(-1.0, 1.0, (1, steps, features)).astype(np.float32)
    state_count = (1 + (kind == "lstm")) * count
    states = draw.uniform(-1.0, 1.0, (state_count, 1, units)).astype(np.float32) * with_states
    state_names = [f"s{place}" for place in range(state_count)] if with_states else []
    results = ["y", *(f"r{place}" for place in range(state_count))]
    message = model(
        {"x0": array((1, steps, features)), **dict.fromkeys(state_names, array((1, units)))},
        dict.fromkeys(results, array((1, 1))),
    )
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1
    add(net, "transpose", "x0", "turned", lambda p: p.axes.extend([1, 0, 2]))
    add(net, "expandDims", "turned", "blob", lambda p: p.axes.extend([3, 4]))
    for name in state_names:
        add(net, "expandDims", name, f"{name}_blob", lambda p: p.axes.extend([0, 3, 4]))
    reads = " ".join(["blob", *(f"{name}_blob" for name in state_names)])
    makes = " ".join(f"{name}_blob" for name in results)
    sizes = (features, units)
    fill = _fill(
        layer,
        weights,
        functions,
        sizes,
        reverse=reverse,
        every_step=every_step,
        with_bias=with_bias,
        settings=more,
    )
    add(net, layer, reads, makes, fill)
    add(net, "squeeze", "y_blob", "y_rows", lambda p: p.axes.extend([3, 4]))
    add(net, "transpose", "y_rows", "y", lambda p: p.axes.extend([1, 0, 2]))
    for name in results[1:]:
        add(net, "squeeze", f"{name}_blob", name, lambda p: p.axes.extend([0, 3, 4]))
    if more.get("forgetBias"):
        for own in weights:
            own.of["bias"]["f"] = own.of["bias"]["f"] + np.float32(1.0)
    all_steps, last, made = _both(
        kind, x.transpose(1, 0, 2), weights, functions, list(states), reverse=reverse
    )
    expected = [(all_steps if every_step else last).transpose(1, 0, 2), *(one for own in made for one in own)]
    path = saved(message, tmp_path_factory.mktemp("network") / "one.mlmodel")
    session = converters.read_network([path]).compile(device="cpu").session()
    found = session.run([x, *states] if with_states else x)
    compare(list(found.values()), expected)


@pytest.mark.parametrize("layer", sorted(_LAYERS))
def test_one_step_of_old_files(layer: str, tmp_path: Path) -> None:
    """In old files each blob is an image, each prediction is one step, and states are inputs and outputs."""
    kind, features, units = _LAYERS[layer], 5, 3
    draw = np.random.default_rng(4)
    count = 1 + (layer == "biDirectionalLSTM")
    weights = [Weights(draw, GATES[kind], features, units) for _ in range(count)]
    functions = {"lstm": ["sigmoid", "tanh", "tanh"], "gru": ["sigmoid", "tanh"], "rnn": ["tanh"]}[kind]
    state_count = (1 + (kind == "lstm")) * count
    x = draw.uniform(-1.0, 1.0, (1, features)).astype(np.float32)
    states = draw.uniform(-1.0, 1.0, (state_count, 1, units)).astype(np.float32)
    state_names = [f"s{place}" for place in range(state_count)]
    results = ["y", *(f"r{place}" for place in range(state_count))]
    message = model(
        {"x0": array((features,)), **dict.fromkeys(state_names, array((units,)))},
        {"y": array((count * units,)), **dict.fromkeys(results[1:], array((units,)))},
        version=1,
    )
    more = {"cellClipThreshold": 50000.0} if kind == "lstm" else None
    fill = _fill(layer, weights, functions, (features, units), settings=more)
    add(message.neuralNetwork, layer, " ".join(["x0", *state_names]), " ".join(results), fill)
    _, last, made = _both(kind, x[None], weights, functions, list(states))
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    found = network.compile(device="cpu").session().run([x, *states])
    compare(list(found.values()), [last, *(one for own in made for one in own)])


_PLAIN = ["sigmoid", "tanh", "tanh"]


@pytest.mark.parametrize(
    ("layer", "functions", "more", "message"),
    [
        ("uniDirectionalLSTM", _PLAIN, {"hasPeepholeVectors": True}, "with peepholes"),
        ("uniDirectionalLSTM", _PLAIN, {"coupledInputAndForgetGate": True}, "with coupled gates"),
        ("uniDirectionalLSTM", _PLAIN, {"cellClipThreshold": 2.0}, "it limits its cells to 2"),
        ("biDirectionalLSTM", ["sigmoid", "relu", "tanh"], {}, "its function relu depends on sums beyond 50"),
        ("gru", ["sigmoid", "linear"], {}, "its function linear depends on sums beyond 50"),
        ("simpleRecurrent", ["relu"], {}, "its function relu depends on sums"),
        ("gru", ["sigmoid"], {}, "it has 1 functions instead of 2"),
    ],
)
def test_layers_that_are_refused(
    layer: str, functions: list[str], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    kind = _LAYERS[layer]
    weights = [Weights(np.random.default_rng(1), GATES[kind], 4, 3) for _ in range(1 + (layer[0] == "b"))]
    made = model({"x0": array((5, 1, 4))}, {"y": array((1, 1))})
    made.neuralNetwork.arrayInputShapeMapping = 1
    add(made.neuralNetwork, "expandDims", "x0", "blob", lambda p: p.axes.extend([3, 4]))
    add(made.neuralNetwork, layer, "blob", "y", _fill(layer, weights, functions, (4, 3), settings=more))
    with pytest.raises((UnsupportedLayersError, WeightsError), match=message):
        converters.read_network([saved(made, tmp_path / "one.mlmodel")])
