"""Convert Keras's recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.row_calls import X
from mpscnn.converters.reading.keras.settings import Flag, Settings, Whole, stated_settings
from mpscnn.converters.reading.keras.weights import inner_settings
from mpscnn.converters.values import gates
from mpscnn.converters.values.recurrent_layer import RecurrentWeights, add_recurrent, note_states
from mpscnn.converters.values.rows import Row, call, ignores, schema_of
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation

Weights = Mapping[str, NDArray[np.float32]]
_SEQUENCES = 3  # the number of axes of (n, steps, features)
_MIRRORED = (
    "activation", "recurrent_activation", "reset_after", "return_sequences", "units", "use_bias",
)  # fmt: skip


@dataclass(frozen=True)
class _Cell:
    """The settings of a recurrent layer."""

    kind: str
    units: int
    activation: Any
    recurrent_activation: Any
    reset_after: bool | None
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool


_CHANGES_NOTHING = ignores(
    "cell", "dropout", "enable_caching_device", "gates_apart", "implementation", "recurrent_dropout", "seed",
    "unit_forget_bias", "unroll", "use_cudnn", "zero_output_for_mask",
)  # fmt: skip


@_CHANGES_NOTHING
def _lstm(
    *, units: Whole = 1, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    return_sequences: Flag = False, return_state: Flag = False, go_backwards: Flag = False,
    stateful: Flag = False, time_major: Flag = False,
) -> _Cell:  # fmt: skip
    if time_major:
        raise UnsupportedError("with steps as the first axis (time_major) it is not supported")
    return _Cell(
        "LSTM",
        units,
        activation,
        recurrent_activation,
        None,
        return_sequences,
        return_state,
        go_backwards,
        stateful,
    )


@_CHANGES_NOTHING
def _gru(
    *, units: Whole = 1, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    reset_after: Flag | None = None, return_sequences: Flag = False, return_state: Flag = False,
    go_backwards: Flag = False, stateful: Flag = False, time_major: Flag = False,
) -> _Cell:  # fmt: skip
    if time_major:
        raise UnsupportedError("with steps as the first axis (time_major) it is not supported")
    return _Cell(
        "GRU", units, activation, recurrent_activation, reset_after, return_sequences, return_state, go_backwards,
        stateful,
    )  # fmt: skip


def _fused(kind: str, reset_after: bool | None) -> Row:
    """Return the row of a layer of cuDNN, whose functions are fixed."""

    @_CHANGES_NOTHING
    def cell(
        *, units: Whole = 1, return_sequences: Flag = False, return_state: Flag = False, go_backwards: Flag = False,
        stateful: Flag = False,
    ) -> _Cell:  # fmt: skip
        return _Cell(
            kind, units, "tanh", "sigmoid", reset_after, return_sequences, return_state, go_backwards, stateful,
        )  # fmt: skip

    return cell


CELLS: dict[str, Row] = {
    "CuDNNGRU": _fused("GRU", reset_after=True),
    "CuDNNLSTM": _fused("LSTM", reset_after=None),
    "GRU": _gru,
    "LSTM": _lstm,
}
"""The functions that read the settings of cells, by the name of the class."""


def _cell(kind: str, settings: Mapping[str, Any]) -> _Cell:
    """Return the settings of a recurrent layer. Raises the errors of rows."""
    row = CELLS[kind]
    made: _Cell = call(row, (), stated_settings(schema_of(row), settings), lambda _, value: value, {})
    return made


def _recurrent(kind: str) -> Row:
    def row(c: LayerCall, *x: X, **settings: Any) -> list[FileTensor]:
        cell = _cell(kind, settings)
        weights = {role.removeprefix("cell/"): values for role, values in c.weights().items()}
        made = _one_direction(c, x, cell, weights, backward=cell.go_backwards)
        y = made[0]
        # Keras returns the results in the order of computation, last step first.
        if cell.go_backwards and y.rank == _SEQUENCES:
            with c.under("/order"):
                y = y.reverse(1)
        return [y, *made[1:]]

    return row


@ignores("weights")
def _bidirectional(
    c: LayerCall, *x: X, layer: Any = None, backward_layer: Any = None,
    merge_mode: Literal["concat", "sum", "mul", "ave"] = "concat",
) -> FileTensor:  # fmt: skip
    """Convert Bidirectional: one layer in both directions. The backward results are in the order of the input."""
    kind, settings = layer.get("class_name") if isinstance(layer, Mapping) else None, inner_settings(c.layer)
    if not isinstance(kind, str) or kind not in CELLS:
        raise UnsupportedError(
            f"its layer is of kind {kind!r}, which is not supported; supported are LSTM, GRU and those of cuDNN"
        )
    cell = _cell(kind, settings.values)
    if cell.go_backwards or not _mirrors(backward_layer, settings):
        raise UnsupportedError("with another layer backward than forward it is not supported")
    if cell.return_state:
        raise UnsupportedError("its states as further results are not supported")
    weights, made = c.weights(), list[FileTensor]()
    for part, backward in (("forward_layer", False), ("backward_layer", True)):
        stem = f"{part}/cell/"
        own = {role.removeprefix(stem): values for role, values in weights.items() if role.startswith(stem)}
        with c.under(f"/{part}"):
            made += _one_direction(c, x, cell, own, backward=backward)
    first, second = made
    if merge_mode == "concat":
        return first.concat([second], first.rank - 1)
    if merge_mode == "mul":
        return first * second
    mean: Activation = {"kind": "linear", "a": 0.5}
    return first.combine("add", second, activation=mean if merge_mode == "ave" else None)


def _mirrors(backward: Any, settings: Settings) -> bool:
    """Return True if the backward layer has the same settings as the forward one, except name and direction."""
    if not isinstance(backward, Mapping):
        return True
    other = backward.get("config")
    return isinstance(other, Mapping) and all(
        other.get(name) == settings.values.get(name) for name in _MIRRORED
    )


def _one_direction(
    c: LayerCall, inputs: Sequence[FileTensor], cell: _Cell, weights: Weights, *, backward: bool
) -> list[FileTensor]:
    """Add a layer. Returns its results in the order of the input, or its last one, and its states if they are asked."""
    if len(inputs) != 1 or c.keywords.get("initial_state") is not None:
        raise UnsupportedError("with first states it is not supported")
    if c.keywords.get("mask") is not None:
        raise UnsupportedError("with a mask it is not supported")
    if cell.stateful:
        note_states(c.network)
    (x,) = inputs
    if x.rank != _SEQUENCES:
        raise UnsupportedError(f"its input is {x.shown}; supported are sequences (n, steps, features)")
    weights = _from_cudnn(cell, weights)
    functions = [c.function(activation) for activation in (cell.recurrent_activation, cell.activation)]
    if any(function.layers is not None for function in functions):
        raise UnsupportedError("its activation is not one of a single element, which is not supported")
    gate, candidate = (function.neuron for function in functions)
    resets_after = _resets_after(c, weights, cell.units) if cell.reset_after is None else cell.reset_after
    after = cell.kind == "GRU" and resets_after
    made = add_recurrent(
        c.network,
        cell.kind,
        c.tensor(x),
        _weights(cell.kind, weights, cell.units, rows=2 if after else 1),
        [gate, candidate, candidate],
        name=c.name(),
        set_weight=lambda layer, role, values: c.set_weights(layer, **{role: values}),
        reset_after=after,
        reverse=backward,
    )
    states = [made.last, *([] if made.cell is None else [made.cell])]
    results = [made.steps if cell.return_sequences else made.last]
    return [c.wrap(one) for one in results + states * cell.return_state]


def _resets_after(c: LayerCall, weights: Weights, units: int) -> bool:
    """Return whether a GRU without this setting applies its reset gate after the product.

    Then its bias has two rows. Without a bias, the file's version decides: Keras 1 and TensorFlow.js have no other GRU.
    """
    bias = weights.get("bias")
    return c.generation > 1 if bias is None else bias.size == 2 * len(gates.KERAS["GRU"]) * units


def _from_cudnn(cell: _Cell, weights: Weights) -> Weights:
    """Return weights in Keras's order. cuDNN's have a bias of two parts in one row, and other orders in each gate.

    The weights are those of a layer with Keras's GRU or LSTM, too, if the model was trained with cuDNN's.
    """
    gates_count, bias = len(gates.KERAS[cell.kind]), weights.get("bias")
    if bias is None or bias.shape != (2 * gates_count * cell.units,):
        return weights
    kernels, matrices = (np.split(weights[role], gates_count, 1) for role in ("kernel", "recurrent_kernel"))
    halves = bias.reshape(2, -1)
    return {
        "kernel": np.hstack([one.reshape(one.shape[::-1]).T for one in kernels]),
        "recurrent_kernel": np.hstack([one.T for one in matrices]),
        "bias": halves if cell.kind == "GRU" else halves.sum(0),
    }


def _weights(kind: str, weights: Weights, units: int, *, rows: int) -> RecurrentWeights:
    """Return the weights. The bias has one row, or `rows` rows if the products with the state have a bias, too."""
    columns = len(gates.KERAS[kind]) * units
    kernel, matrix = (
        weights.get(role, np.zeros((0, 0), np.float32)) for role in ("kernel", "recurrent_kernel")
    )
    bias = weights.get("bias", np.zeros(columns, np.float32))
    if (
        kernel.shape[1:] != (columns,)
        or matrix.shape != (units, columns)
        or bias.size not in (columns, rows * columns)
    ):
        raise WeightsError(f"damaged: it has weights of other shapes than {units} units")
    first, *others = bias.reshape(-1, columns)
    return RecurrentWeights(gates.KERAS[kind], kernel.T, matrix.T, first, *others)


RECURRENT: dict[str, Row] = {
    "Bidirectional": _bidirectional,
    "CuDNNGRU": _recurrent("CuDNNGRU"),
    "CuDNNLSTM": _recurrent("CuDNNLSTM"),
    "GRU": _recurrent("GRU"),
    "LSTM": _recurrent("LSTM"),
}
"""The functions that convert layers, by the name of the class."""
