"""Convert ONNX' LSTM, GRU and RNN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.layout import Axis
from mpscnn.converters.onnx_reader.attention_masks import constant_of_node
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.unrolled_lstm import LstmSettings, unrolled_lstm
from mpscnn.converters.recurrent_layer import RecurrentWeights, add_recurrent, sequences
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.recurrent import Recurrent

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def _recurrent(c: Context, node: Node) -> list[FileTensor]:
    """Convert a node. Its input is (steps, n, features), or with layout=1 (n, steps, features)."""
    direction = node.text("direction", "forward")
    reversals = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}.get(direction)
    if reversals is None:
        raise WeightsError(f"damaged: its direction is {direction!r}")
    functions = [_functions(node, place, len(reversals)) for place in range(len(reversals))]
    settings = _settings(c, node, len(reversals))
    lengths = _lengths(c, node)
    x, steps, several = _sequence(c, node)
    made = [
        _direction(
            c, node, x, place, functions[place], settings[place], reverse=reverse, directions=len(reversals)
        )
        for place, reverse in enumerate(reversals)
    ]
    c.take_layer_names()
    (directions,) = c.arranger.atoms([len(made)])
    (units,) = c.arranger.atoms([made[0].steps.shape[-1]])
    name = _name(c, node)
    batch: Axis = () if c.arranger.batch is None else (c.arranger.batch,)
    order = several + directions + units
    along = node.flag("layout", default=False)
    axes = (steps, directions, batch + several, units)
    whole = FileTensor(
        _joined(c, [one.steps for one in made], name), axes, steps + order, arranger=c.arranger
    )
    if lengths is not None:
        whole, last = _of_lengths(c, node, whole, lengths)
        return [whole.transpose((2, 0, 1, 3)), last.transpose((1, 0, 2))] if along else [whole, last]
    results = [whole.transpose((2, 0, 1, 3)) if along else whole]
    states = [[one.last for one in made], [one.cell for one in made if one.cell is not None]]
    for place, tensors in enumerate(states, start=1):
        if place < len(node.outputs) and tensors:
            joined = _joined(c, tensors, f"{name}/state") if node.outputs[place] else tensors[0]
            state = FileTensor(joined, (batch + several, directions, units), order, arranger=c.arranger)
            results.append(state if along else state.transpose((1, 0, 2)))
    return results


def _name(c: Context, node: Node, suffix: str = "") -> str:
    """Return the prefix for the names of a node's layers. In files that mpscnn wrote the node has a layer's name."""
    return c.layer_name(node, suffix, f"{suffix}/recurrent")


def _joined(c: Context, tensors: list[Tensor], name: str) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    return c.network.concat(tensors, axis=-1, name=c.names.unique(name, lambda names: names.final_of(name)))


def _settings(c: Context, node: Node, directions: int) -> list[LstmSettings]:
    """Return the unusual settings of each direction. Raises UnsupportedError for those that only an LSTM may have."""
    limit = node.number("clip") if node.has("clip") else None
    couples, name = node.flag("input_forget", default=False), node.input(7) if node.kind == "LSTM" else None
    if node.kind != "LSTM" and limit is not None:
        raise UnsupportedError("with limits of its sums it is not supported; only an LSTM may have them")
    peepholes = None if name is None else c.constants.real(name, "its peepholes")
    if peepholes is None or not peepholes.any():
        return [LstmSettings(None, limit, couples)] * directions
    if peepholes.shape != (directions, 3 * node.integer("hidden_size")):
        raise WeightsError(f"damaged: its peepholes are {peepholes.shape}")
    return [LstmSettings(own, limit, couples) for own in peepholes]


def _sequence(c: Context, node: Node) -> tuple[Tensor, Axis, Axis]:
    """Return the input as a tensor (n, steps, sequences, features), and the atoms of its steps and sequences."""
    x, along = c.x(node), node.flag("layout", default=False)
    return sequences(x.transpose((1, 0, 2)) if along else x)


def _lengths(c: Context, node: Node) -> FileTensor | None:
    """Return the number of steps of each sequence (n,); None if all sequences have all steps."""
    name = node.input(4)
    if name is None:
        return None
    steps = c.x(node).shape[node.flag("layout", default=False)]
    if c.is_constant(name) and set(c.constants.integers(name, "its lengths")) == {steps}:
        return None
    if node.text("direction", "forward") != "forward":
        raise UnsupportedError("backwards, with other lengths for each sequence, it is not supported")
    c.refuse_results(node, 2, "the cell state after other numbers of steps")
    if not c.is_constant(name):
        return c.value(name, whole_numbers=True).mark_as_floats()
    lengths = c.constants.real(name, "its lengths")
    if c.arranger.batch is None:
        return constant_of_node(c, node, lengths, "lengths", None)
    return constant_of_node(c, node, lengths[:, None], "lengths", 2).squeeze([1])


def _of_lengths(
    c: Context, node: Node, whole: FileTensor, lengths: FileTensor
) -> tuple[FileTensor, FileTensor]:
    """Return the results (steps, directions, n, units) with zeros after the end of each sequence, and the last ones.

    The last results are (directions, n, units).
    """
    y = whole.transpose((2, 0, 1, 3))
    count = y.known_extent(1, "takes the last step of")
    numbers = constant_of_node(c, node, np.arange(count, dtype=np.float32).reshape(1, -1, 1, 1), "steps", 4)
    ends = lengths.expand_dims([1, 2, 3])
    valid = numbers.combine("less", ends, "/valid")
    is_last = numbers.combine("equal", ends.linear(1.0, -1.0, "/end"), "/is_last")
    masked = y.combine("multiply", valid, "/masked")
    last = y.combine("multiply", is_last, "/chosen").reduce("sum", [1]).squeeze([1])
    return masked.transpose((1, 2, 0, 3)), last.transpose((1, 0, 2))


def _direction(
    c: Context,
    node: Node,
    x: Tensor,
    place: int,
    functions: list[Activation],
    settings: LstmSettings,
    *,
    reverse: bool,
    directions: int,
) -> Recurrent:
    weight, matrix = (c.constants.real(node.input(number), "its weights") for number in (1, 2))
    count, units = len(gates.ONNX[node.kind]), node.integer("hidden_size")
    biases = None if node.input(3) is None else c.constants.real(node.input(3), "its biases")
    of_biases = (directions, 2 * count * units)
    wanted = [(directions, count * units, x.shape[3]), (directions, count * units, units), of_biases]
    shapes = [weight.shape, matrix.shape, of_biases if biases is None else biases.shape]
    if shapes != wanted:
        raise WeightsError(
            f"damaged: weights {shapes[0]}, {shapes[1]} and biases {shapes[2]} for {x.shape} and {units} units"
        )
    biases = np.zeros(of_biases, np.float32) if biases is None else biases
    several = int(x.shape[2] or 0)
    hidden, cell = (_state(c, node, number, place, (directions, several, units)) for number in (5, 6))
    own = [weight[place], matrix[place], *np.split(biases[place], 2)]
    if not settings.are_usual:
        return unrolled_lstm(
            c, node, x, own, functions, settings, [hidden, cell], place=place, reverse=reverse
        )
    if node.kind == "RNN":
        functions, own = [_IDENTITY, *functions], [_with_open_gates(part, units) for part in own]
        own[2][units : 2 * units] = 1.0
    return add_recurrent(
        c.network,
        "LSTM" if node.kind == "LSTM" else "GRU",
        x,
        RecurrentWeights(_ORDER[node.kind], *own),
        functions,
        name=_name(c, node, "/reverse" if reverse else ""),
        set_weight=c.set_weight,
        reset_after=node.kind == "RNN" or node.flag("linear_before_reset", default=False),
        hidden=hidden,
        reverse=reverse,
        **({"cell": cell} if node.kind == "LSTM" else {}),
    )


# A simple recurrent layer is a GRU whose gates are constant: z = 0 forgets the last state, and r = 1 lets it into the
# candidate. The function of these gates is the identity, so their biases give both numbers exactly.
_IDENTITY: Activation = {"kind": "linear", "a": 1.0, "b": 0.0}


_ORDER = gates.ONNX | {"RNN": "zrn"}


def _with_open_gates(part: NDArray[Any], units: int) -> NDArray[Any]:
    """Return zeros for z and r, then the weights or biases of the candidate. The caller sets the bias of r to 1."""
    return np.concatenate([np.zeros((2 * units, *part.shape[1:]), part.dtype), part])


def _functions(node: Node, place: int, directions: int) -> list[Activation]:
    defaults = _DEFAULTS[node.kind]
    names = node.texts("activations", ()) or [*defaults] * directions
    if len(names) != len(defaults) * directions:
        raise WeightsError(f"damaged: its activations are {names}")
    stated = {"a": node.numbers("activation_alpha"), "b": node.numbers("activation_beta")}
    functions: list[Activation] = []
    for text in names:
        if text not in gates.ONNX_FUNCTIONS:
            raise UnsupportedError(f"its activation {text!r} is not supported")
        function = dict(gates.ONNX_FUNCTIONS[text])
        for parameter in gates.ONNX_PARAMETERS.get(text, ""):
            if stated[parameter]:
                function[parameter] = stated[parameter].pop(0)
        functions.append(function)
    return functions[place * len(defaults) : (place + 1) * len(defaults)]


def _state(c: Context, node: Node, number: int, place: int, extents: tuple[int, ...]) -> Tensor | None:
    """Return the initial hidden or cell state of one direction; None for zeros.

    Args:
        number: the place of the state in the node's inputs.
        place: the place of the direction.
        extents: the numbers of directions, of sequences for each image, and of units.
    """
    name = node.input(number) if number == 5 or node.kind == "LSTM" else None
    if name is None:
        return None
    known = c.constants.find(name)
    if known is not None and not (known.low.any() or known.high.any() or c.learns(name)):
        return None
    if known is not None:
        return _constant_state(c, node, name, place, extents)
    x = c.value(name)
    if node.flag("layout", default=False):
        x = x.transpose((1, 0, 2))
    if x.rank != 3 or x.shape[2] != extents[2]:
        raise WeightsError(f"damaged: its first state is {x.shown}")
    own = [tuple(atom for atom in axis if not atom.is_batch) for axis in x.axes]
    tensor = c.arranger.physical(x, own)
    return c.network.layer("slice", [tensor], {"top": place, "height": 1}, name=c.layer_name(node, "/state"))


def _constant_state(c: Context, node: Node, name: str, place: int, extents: tuple[int, ...]) -> Tensor:
    """Return a constant initial state of one direction, which is the same for each image of the batch."""
    along = node.flag("layout", default=False)
    own = c.constants.of_one_image(
        name, None, c.arranger.batch, f"its first state {quote_name(name)}", (0 if along else 1, 1)
    )
    directions, several, units = extents
    if own.size != directions * several * units:
        raise WeightsError(f"damaged: its first state has {own.size} numbers, expected {math.prod(extents)}")
    states = own.reshape((several, directions, units) if along else extents)
    layer = c.constant_layer(name)
    tensor = c.network.constant(c.network.inputs[0], (1, several, units), name=layer)
    values = (states[:, place] if along else states[place])[None]
    c.set_weight(layer, "value", values, name if directions == 1 and c.learns(name) else None)
    return tensor


RECURRENT: dict[str, Handler] = {"GRU": _recurrent, "LSTM": _recurrent, "RNN": _recurrent}
