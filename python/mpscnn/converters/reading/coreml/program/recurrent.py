"""Convert recurrent layers of ML programs."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.program.constants import Array as Numbers
from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.coreml.program.row_calls import Array, Flag, FreeText, Given, Tensor, Text
from mpscnn.converters.reading.coreml.recurrent import Recurrent, split_directions
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values import gates
from mpscnn.converters.values.recurrent_layer import RecurrentWeights
from mpscnn.converters.values.rows import Operand, Row
from mpscnn.errors import UnsupportedError, WeightsError

Direction = Annotated[Literal["forward", "reverse"], Operand()]
Directions = Annotated[Literal["forward", "reverse", "bidirectional"], Operand()]
_SIGMOID, _TANH = FreeText("sigmoid"), FreeText("tanh")


def _direction(
    kind: str, inputs: Numbers, states: Numbers, input_bias: Numbers | None, bias: Numbers | None
) -> RecurrentWeights:
    """Return the weights of one direction."""
    arrays = [one.astype(np.float32) for one in (inputs, states)]
    if any(array.ndim != 2 for array in arrays):
        raise WeightsError(f"damaged: weights {arrays[0].shape} and {arrays[1].shape}")
    rows = len(arrays[0])
    biases = [
        np.zeros(rows, np.float32) if one is None else one.astype(np.float32) for one in (input_bias, bias)
    ]
    for name, values in zip(("input_bias", "bias"), biases, strict=True):
        if values.shape != (rows,):
            raise WeightsError(f"damaged: its {name} has the shape {values.shape} for {rows} rows")
    return RecurrentWeights(gates.CORE_ML[kind], *arrays, *biases)


def _functions(*stated: str) -> list[gates.Function]:
    """Return the vocabulary's names of activation functions."""
    names = [name.lower() for name in stated]
    other = next((name for name in names if name not in gates.CORE_ML_FUNCTIONS), None)
    if other is not None:
        raise UnsupportedError(f"its function {other!r} is not supported")
    return [gates.CORE_ML_FUNCTIONS[name] for name in names]


def _converted(
    b: Builder, op: Operation, x: str, names: list[str], kind: ops.Cells, directions: list[RecurrentWeights],
    functions: list[gates.Function], *, is_reverse: bool, output_sequence: bool, reset_after: bool | None = None,
) -> list[str]:  # fmt: skip
    units = directions[0].state.shape[1]
    zeros = [name for name in names if op.is_constant(name) and not op.array(name).any()]
    states = [
        split_directions(b, op.tensor(name), len(directions), units) for name in names if zeros != names
    ]
    layer = Recurrent(
        kind,
        directions,
        functions * len(directions),
        is_reverse,
        output_sequence,
        {} if reset_after is None else {"linear_before_reset": int(reset_after)},
    )
    return layer.add(b, x, states)


def _lstm(
    b: Builder, op: Operation, x: Tensor, initial_h: Given, initial_c: Given, weight_ih: Array, weight_hh: Array,
    bias: Array | None = None, input_bias: Array | None = None, peephole: Array | None = None,
    weight_ih_back: Array | None = None, weight_hh_back: Array | None = None, bias_back: Array | None = None,
    input_bias_back: Array | None = None, peephole_back: Array | None = None, direction: Directions = "forward",
    output_sequence: Flag = False, recurrent_activation: Text = _SIGMOID, cell_activation: Text = _TANH,
    activation: Text = _TANH, clip: Array | None = None,
) -> list[str]:  # fmt: skip
    for values, what in (
        (peephole, "peepholes"),
        (peephole_back, "peepholes"),
        (None if clip is None else np.ones(1), "limits of its cells"),
    ):
        if values is not None and values.any():
            raise UnsupportedError(f"with {what} it is not supported")
    directions = [_direction("LSTM", weight_ih, weight_hh, input_bias, bias)]
    if direction == "bidirectional":
        if weight_ih_back is None or weight_hh_back is None:
            raise WeightsError("damaged: it has no weights of the other direction")
        directions.append(_direction("LSTM", weight_ih_back, weight_hh_back, input_bias_back, bias_back))
    functions = _functions(recurrent_activation, cell_activation, activation)
    return _converted(
        b, op, x, [initial_h, initial_c], "LSTM", directions, functions,
        is_reverse=direction == "reverse", output_sequence=output_sequence,
    )  # fmt: skip


def _gru(
    b: Builder, op: Operation, x: Tensor, initial_h: Given, weight_ih: Array, weight_hh: Array,
    bias: Array | None = None, input_bias: Array | None = None, direction: Direction = "forward",
    output_sequence: Flag = False, recurrent_activation: Text = _SIGMOID, activation: Text = _TANH,
    reset_after: Flag = False,
) -> list[str]:  # fmt: skip
    directions = [_direction("GRU", weight_ih, weight_hh, input_bias, bias)]
    return _converted(
        b, op, x, [initial_h], "GRU", directions, _functions(recurrent_activation, activation),
        is_reverse=direction == "reverse", output_sequence=output_sequence, reset_after=reset_after,
    )  # fmt: skip


def _rnn(
    b: Builder, op: Operation, x: Tensor, initial_h: Given, weight_ih: Array, weight_hh: Array,
    bias: Array | None = None, input_bias: Array | None = None, direction: Direction = "forward",
    output_sequence: Flag = False, activation: Text = _TANH,
) -> list[str]:  # fmt: skip
    directions = [_direction("RNN", weight_ih, weight_hh, input_bias, bias)]
    return _converted(
        b, op, x, [initial_h], "RNN", directions, _functions(activation),
        is_reverse=direction == "reverse", output_sequence=output_sequence,
    )  # fmt: skip


RECURRENT: dict[str, Row] = {"gru": _gru, "lstm": _lstm, "rnn": _rnn}
"""The functions that convert operations, by Core ML's name."""
