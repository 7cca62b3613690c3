"""Write ATen's LSTM, GRU and simple recurrent layers as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer
from mpscnn.converters.values import gates
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError


def _recurrent(kind: ops.Cells, activation: gates.Function | None = None) -> Row:
    """Return a function that writes all layers and directions of a module for whole sequences."""

    def write(
        g: Writer,
        x: str,
        states: str | Sequence[str],
        parameters: Sequence[str],
        has_biases: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[str, ...]:
        if train and dropout:
            raise UnsupportedError("dropout in training")
        directions = 2 if bidirectional else 1
        each = len(parameters) // (layers * directions)
        if each != (4 if has_biases else 2):
            raise UnsupportedError("a projection of the hidden state")
        settings: dict[str, Any] = {"direction": "bidirectional" if bidirectional else "forward"}
        if kind == "GRU":
            settings["linear_before_reset"] = 1
        if activation:
            settings["activations"] = [activation] * directions
        given = [states] if isinstance(states, str) else list(states)
        if g.rank(x) != 3:
            raise UnsupportedError("a sequence without a batch")
        y = ops.transpose(g, x, perm=[1, 0, 2]) if batch_first else x
        ends: list[tuple[str, ...]] = []
        for layer in range(layers):
            begin = layer * directions * each
            own = [parameters[begin + place * each :][:each] for place in range(directions)]
            first = [_of_layer(g, state, layer * directions, directions) for state in given]
            y, *last = _layer(g, kind, y, own, first, settings)
            ends.append(tuple(last))
        y = ops.transpose(g, y, perm=[1, 0, 2]) if batch_first else y
        joined = (
            parts[0] if layers == 1 else ops.concatenate(g, *parts, axis=0)
            for parts in zip(*ends, strict=True)
        )
        return y, *joined

    return write


def _layer(
    g: Writer,
    kind: ops.Cells,
    x: str,
    own: Sequence[Sequence[str]],
    first: Sequence[str | None],
    settings: dict[str, Any],
) -> tuple[str, ...]:
    """Write one layer of all directions. Return its steps and its last states."""
    input_weights, weights = (np.stack([_ordered(g, kind, parts[role]) for parts in own]) for role in (0, 1))
    biases = None
    if len(own[0]) == 4:
        rows = [np.concatenate([_ordered(g, kind, part) for part in parts[2:]]) for parts in own]
        biases = g.constant(np.stack(rows))
    given = (g.constant(input_weights), g.constant(weights), biases)
    made = ops.recurrent(g, kind, x, *given, first, hidden_size=weights.shape[2], **settings)
    moved = ops.transpose(g, made[0], perm=[0, 2, 1, 3])
    return ops.reshape(g, moved, [0, 0, -1]), *made[1:]


def _ordered(g: Writer, kind: str, parameter: str) -> np.ndarray[Any, Any]:
    """Return a weight or bias with the gates in the order of ONNX."""
    if parameter not in g.arrays:
        raise UnsupportedError("weights that are computed")
    return gates.reorder_gates(g.arrays[parameter], gates.PYTORCH[kind], gates.ONNX[kind])


def _of_layer(g: Writer, state: str, begin: int, count: int) -> str | None:
    """Return the first state of a layer; None if it is zero."""
    array = g.arrays.get(state)
    if array is not None and not array.any():
        return None
    if g.shapes[state][0] == count:
        return state
    return ops.slice_axes(g, state, *([value] for value in (begin, begin + count, 0)))


RECURRENT: dict[str, Row] = {
    "lstm.input": _recurrent("LSTM"),
    "gru.input": _recurrent("GRU"),
    "rnn_tanh.input": _recurrent("RNN"),
    "rnn_relu.input": _recurrent("RNN", "relu"),
}
