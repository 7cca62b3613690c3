"""Convert ONNX' LSTM, GRU and RNN."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.attention_masks import constant_of_node
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Computed
from mpscnn.converters.reading.onnx.unrolled_lstm import LstmSettings, unrolled_lstm
from mpscnn.converters.values import gates
from mpscnn.converters.values.layout import Axis
from mpscnn.converters.values.recurrent_layer import RecurrentWeights, add_recurrent, sequences
from mpscnn.converters.values.rows import Floats, Name, Row, Texts, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.recurrent import Recurrent

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


Direction = Literal["forward", "reverse", "bidirectional"]
_REVERSALS: dict[Direction, list[bool]] = {
    "forward": [False],
    "reverse": [True],
    "bidirectional": [False, True],
}


@dataclass(frozen=True)
class _Stated:
    """The settings of a recurrent operator that a file states.

    Attributes:
        kind: LSTM, GRU or RNN.
        weight, matrix: the names of the weights of inputs and of states.
        bias, lengths, hidden, cell, peepholes: the names of other operands; None: they are left out.
        activations, alphas, betas: the names of the functions, and their parameters in their order.
        units: the number of units.
        direction: the directions in which the steps follow.
        batch_first: whether the batch is the first axis, before the steps.
        limit: the limit of sums; None: there is none.
        couples: whether the forget gate is 1 minus the input gate.
        resets_after: whether the reset gate of a GRU comes after the product with the state.
    """

    kind: str
    weight: str
    matrix: str
    bias: str | None
    lengths: str | None
    hidden: str | None
    cell: str | None
    peepholes: str | None
    activations: Texts
    alphas: Floats
    betas: Floats
    units: int
    direction: Direction
    batch_first: bool
    limit: float | None
    couples: bool = False
    resets_after: bool = False


@ignores("output_sequence")
def _lstm(
    c: Context, node: Node, x: Computed, w: Name, r: Name, b: Name | None = None, lengths: Name | None = None,
    hidden: Name | None = None, cell: Name | None = None, peepholes: Name | None = None, *, hidden_size: int,
    direction: Direction = "forward", layout: bool = False, activations: Texts = (),
    activation_alpha: Floats = (), activation_beta: Floats = (), clip: float | None = None,
    input_forget: bool = False,
) -> list[FileTensor]:  # fmt: skip
    return _recurrent(c, node, x, _Stated(
        "LSTM", w, r, b, lengths, hidden, cell, peepholes, activations, activation_alpha, activation_beta,
        hidden_size, direction, layout, clip, couples=input_forget,
    ))  # fmt: skip


@ignores("output_sequence")
def _gru(
    c: Context, node: Node, x: Computed, w: Name, r: Name, b: Name | None = None, lengths: Name | None = None,
    hidden: Name | None = None, *, hidden_size: int, direction: Direction = "forward", layout: bool = False,
    activations: Texts = (), activation_alpha: Floats = (), activation_beta: Floats = (),
    clip: float | None = None, linear_before_reset: bool = False,
) -> list[FileTensor]:  # fmt: skip
    return _recurrent(c, node, x, _Stated(
        "GRU", w, r, b, lengths, hidden, None, None, activations, activation_alpha, activation_beta,
        hidden_size, direction, layout, clip, resets_after=linear_before_reset,
    ))  # fmt: skip


@ignores("output_sequence")
def _rnn(
    c: Context, node: Node, x: Computed, w: Name, r: Name, b: Name | None = None, lengths: Name | None = None,
    hidden: Name | None = None, *, hidden_size: int, direction: Direction = "forward", layout: bool = False,
    activations: Texts = (), activation_alpha: Floats = (), activation_beta: Floats = (),
    clip: float | None = None,
) -> list[FileTensor]:  # fmt: skip
    return _recurrent(c, node, x, _Stated(
        "RNN", w, r, b, lengths, hidden, None, None, activations, activation_alpha, activation_beta,
        hidden_size, direction, layout, clip, resets_after=True,
    ))  # fmt: skip


def _recurrent(c: Context, node: Node, given: FileTensor, stated: _Stated) -> list[FileTensor]:
    """Convert a node. Its input is (steps, n, features), or with `batch_first` (n, steps, features)."""
    reversals = _REVERSALS[stated.direction]
    functions = _functions(stated, len(reversals))
    settings = _settings(c, stated, len(reversals))
    lengths = _lengths(c, node, given, stated)
    x, steps, several = sequences(given.transpose((1, 0, 2)) if stated.batch_first else given)
    made = [
        _direction(
            c,
            node,
            stated,
            x,
            place,
            functions[place],
            settings[place],
            reverse=reverse,
            directions=len(reversals),
        )
        for place, reverse in enumerate(reversals)
    ]
    c.naming.take()
    (directions,) = c.arranger.atoms([len(made)])
    (units,) = c.arranger.atoms([made[0].steps.shape[-1]])
    name = _name(c, node)
    batch: Axis = () if c.arranger.batch is None else (c.arranger.batch,)
    order = several + directions + units
    along = stated.batch_first
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
    return c.naming.of_node(node, suffix, f"{suffix}/recurrent")


def _joined(c: Context, tensors: list[Tensor], name: str) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    return c.network.concat(
        tensors, axis=-1, name=c.naming.planned.unique(name, lambda names: names.final_of(name))
    )


def _settings(c: Context, stated: _Stated, directions: int) -> list[LstmSettings]:
    """Return the unusual settings of each direction. Raises UnsupportedError for those that only an LSTM may have."""
    if stated.kind != "LSTM" and stated.limit is not None:
        raise UnsupportedError("with limits of its sums it is not supported; only an LSTM may have them")
    peepholes = None if stated.peepholes is None else c.constants.real(stated.peepholes, "its peepholes")
    if peepholes is None or not peepholes.any():
        return [LstmSettings(None, stated.limit, stated.couples)] * directions
    if peepholes.shape != (directions, 3 * stated.units):
        raise WeightsError(f"damaged: its peepholes are {peepholes.shape}")
    return [LstmSettings(own, stated.limit, stated.couples) for own in peepholes]


def _lengths(c: Context, node: Node, x: FileTensor, stated: _Stated) -> FileTensor | None:
    """Return the number of steps of each sequence (n,); None if all sequences have all steps."""
    name = stated.lengths
    if name is None:
        return None
    steps = x.shape[stated.batch_first]
    if c.is_constant(name) and set(c.constants.integers(name, "its lengths")) == {steps}:
        return None
    if stated.direction != "forward":
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
    stated: _Stated,
    x: Tensor,
    place: int,
    functions: list[Activation],
    settings: LstmSettings,
    *,
    reverse: bool,
    directions: int,
) -> Recurrent:
    weight, matrix = (c.constants.real(name, "its weights") for name in (stated.weight, stated.matrix))
    count, units = len(gates.ONNX[stated.kind]), stated.units
    biases = None if stated.bias is None else c.constants.real(stated.bias, "its biases")
    of_biases = (directions, 2 * count * units)
    wanted = [(directions, count * units, x.shape[3]), (directions, count * units, units), of_biases]
    shapes = [weight.shape, matrix.shape, of_biases if biases is None else biases.shape]
    if shapes != wanted:
        raise WeightsError(
            f"damaged: weights {shapes[0]}, {shapes[1]} and biases {shapes[2]} for {x.shape} and {units} units"
        )
    biases = np.zeros(of_biases, np.float32) if biases is None else biases
    several = int(x.shape[2] or 0)
    extents = (directions, several, units)
    hidden, cell = (_state(c, stated, name, place, extents) for name in (stated.hidden, stated.cell))
    own = [weight[place], matrix[place], *np.split(biases[place], 2)]
    if not settings.are_usual:
        return unrolled_lstm(
            c, node, x, own, functions, settings, [hidden, cell], place=place, reverse=reverse
        )
    if stated.kind == "RNN":
        functions, own = [_IDENTITY, *functions], [_with_open_gates(part, units) for part in own]
        own[2][units : 2 * units] = 1.0
    return add_recurrent(
        c.network,
        "LSTM" if stated.kind == "LSTM" else "GRU",
        x,
        RecurrentWeights(_ORDER[stated.kind], *own),
        functions,
        name=_name(c, node, "/reverse" if reverse else ""),
        set_weight=c.weights.set,
        reset_after=stated.resets_after,
        hidden=hidden,
        reverse=reverse,
        **({"cell": cell} if stated.kind == "LSTM" else {}),
    )


# A simple recurrent layer is a GRU whose gates are constant: z = 0 forgets the last state, and r = 1 lets it into the
# candidate. The function of these gates is the identity, so their biases give both numbers exactly.
_IDENTITY: Activation = {"kind": "linear", "a": 1.0, "b": 0.0}


_ORDER = gates.ONNX | {"RNN": "zrn"}


def _with_open_gates(part: NDArray[Any], units: int) -> NDArray[Any]:
    """Return zeros for z and r, then the weights or biases of the candidate. The caller sets the bias of r to 1."""
    return np.concatenate([np.zeros((2 * units, *part.shape[1:]), part.dtype), part])


def _functions(stated: _Stated, directions: int) -> list[list[Activation]]:
    """Return the functions of each direction."""
    defaults = _DEFAULTS[stated.kind]
    names = stated.activations or [*defaults] * directions
    if len(names) != len(defaults) * directions:
        raise WeightsError(f"damaged: its activations are {list(names)}")
    left = {"a": list(stated.alphas), "b": list(stated.betas)}
    functions: list[Activation] = []
    for text in names:
        if text not in gates.ONNX_FUNCTIONS:
            raise UnsupportedError(f"its activation {text!r} is not supported")
        function = dict(gates.ONNX_FUNCTIONS[text])
        for parameter in gates.ONNX_PARAMETERS.get(text, ""):
            if left[parameter]:
                function[parameter] = left[parameter].pop(0)
        functions.append(function)
    count = len(defaults)
    return [functions[place * count : (place + 1) * count] for place in range(directions)]


def _state(
    c: Context, stated: _Stated, name: str | None, place: int, extents: tuple[int, ...]
) -> Tensor | None:
    """Return the initial hidden or cell state of one direction; None for zeros.

    Args:
        c: the conversion.
        stated: the operator.
        name: the name of the state; None: it is left out.
        place: the place of the direction.
        extents: the numbers of directions, of sequences for each image, and of units.
    """
    if name is None:
        return None
    known = c.constants.find(name)
    if known is not None and not (known.low.any() or known.high.any() or c.parameters.learns(name)):
        return None
    if known is not None:
        return _constant_state(c, stated, name, place, extents)
    x = c.value(name)
    if stated.batch_first:
        x = x.transpose((1, 0, 2))
    if x.rank != 3 or x.shape[2] != extents[2]:
        raise WeightsError(f"damaged: its first state is {x.shown}")
    own = [tuple(atom for atom in axis if not atom.is_batch) for axis in x.axes]
    tensor = c.arranger.physical(x, own)
    return c.network.layer("slice", [tensor], {"top": place, "height": 1}, name=c.arranger.name("/state"))


def _constant_state(c: Context, stated: _Stated, name: str, place: int, extents: tuple[int, ...]) -> Tensor:
    """Return a constant initial state of one direction, which is the same for each image of the batch."""
    along = stated.batch_first
    own = c.constants.of_one_image(
        name, None, c.arranger.batch, f"its first state {quote_name(name)}", (0 if along else 1, 1)
    )
    directions, several, units = extents
    if own.size != directions * several * units:
        raise WeightsError(f"damaged: its first state has {own.size} numbers, expected {math.prod(extents)}")
    states = own.reshape((several, directions, units) if along else extents)
    layer = c.naming.of_constant(name)
    tensor = c.network.constant(c.network.inputs[0], (1, several, units), name=layer)
    values = (states[:, place] if along else states[place])[None]
    c.weights.set(layer, "value", values, name if directions == 1 and c.parameters.learns(name) else None)
    return tensor


RECURRENT: dict[str, Row] = {"GRU": _gru, "LSTM": _lstm, "RNN": _rnn}
