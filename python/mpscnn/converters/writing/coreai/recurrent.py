"""Convert ONNX' LSTM and GRU to operations of Core AI, which has no recurrent layers: each step is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreai.array_ops import sliced
from mpscnn.converters.writing.coreai.operator import Array, Operator, shape_of
from mpscnn.errors import UnsupportedError

_MAX_STEPS = 512
_FUNCTIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu"}
_LSTM, _GRU = ("Sigmoid", "Tanh", "Tanh"), ("Sigmoid", "Tanh")
_REVERSE = "reverse"


class _Steps:
    """The steps of a recurrent layer whose input is (steps, sequences, channels), each as (1, sequences, numbers)."""

    def __init__(self, op: Operator, gates: int, functions: Sequence[str]) -> None:
        self.op = op
        self.count, self.sequences, _ = op.shape
        if self.count > _MAX_STEPS:
            raise UnsupportedError(
                f"a recurrent layer of {self.count} steps; at most {_MAX_STEPS} are written, one by one"
            )
        names = op.attribute("activations", functions)
        kinds = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
        for kind in kinds:
            if kind not in _FUNCTIONS:
                raise UnsupportedError(
                    f"a recurrent layer with {kind}; supported are {', '.join(_FUNCTIONS)}"
                )
        self.functions: list[Callable[[Any], Any]] = [getattr(op.ai, _FUNCTIONS[kind]) for kind in kinds]
        self.units = op.constant(2).shape[-1]
        biases = op.constant(3)[0] if op.given(3) else np.zeros(2 * gates * self.units, np.float32)
        self.bias, self.state_bias = np.split(biases, 2)
        self.matrix: Array = op.constant(2)[0].T  # (units, all gates)
        self.projected = self.product(op.x, op.constant(1)[0].T)
        steps = range(self.count)
        self.order = steps[::-1] if op.attribute("direction") == _REVERSE else steps

    def product(self, x: Any, matrix: Array) -> Any:
        """Multiply (..., sequences, numbers) by a matrix."""
        return self.op.ai.broadcasting_batch_matmul(x, self.op.of(matrix[None]))

    def initial(self, place: int) -> Any:
        """Return the state before the first step: an operand, or zeros."""
        zeros = np.zeros((1, self.sequences, self.units), np.float32)
        return self.op.value(place) if self.op.given(place) else self.op.of(zeros)

    def part(self, x: Any, gate: int) -> Any:
        """Return the numbers of a gate."""
        return sliced(self.op, x, {2: range(gate * self.units, (gate + 1) * self.units)})

    def input(self, step: int) -> Any:
        """Return the product of a step's input and its weights."""
        return sliced(self.op, self.projected, {0: range(step, step + 1)})

    def joined(self, states: dict[int, Any]) -> Any:
        """Return the states of all steps as (steps, 1, sequences, units)."""
        found = self.op.ai.concat(np.array(0, np.int32), [states[step] for step in range(self.count)])
        return self.op.reshaped(found, (self.count, 1, *shape_of(found)[1:]))


def _lstm(op: Operator) -> list[Any]:
    steps = _Steps(op, 4, _LSTM)
    gate, candidate, output = steps.functions
    hidden, cell, states = steps.initial(5), steps.initial(6), {}
    for step in steps.order:
        total = op.two("add", steps.input(step), steps.product(hidden, steps.matrix))
        total = op.two("add", total, (steps.bias + steps.state_bias).reshape(1, 1, -1))
        enter, leave, forget, new = (steps.part(total, number) for number in range(4))
        kept = op.two("mul", gate(forget), cell)
        cell = op.two("add", kept, op.two("mul", gate(enter), candidate(new)))
        hidden = states[step] = op.two("mul", gate(leave), output(cell))
    return [steps.joined(states), hidden, cell]


def _gru(op: Operator) -> list[Any]:
    steps = _Steps(op, 3, _GRU)
    gate, candidate = steps.functions
    units, after = steps.units, bool(op.attribute("linear_before_reset", 0))
    bias, state_bias = steps.bias.copy(), steps.state_bias
    bias[: 2 * units] += state_bias[: 2 * units]
    if not after:
        bias[2 * units :] += state_bias[2 * units :]
    hidden, states = steps.initial(5), {}
    for step in steps.order:
        given = op.two("add", steps.input(step), bias.reshape(1, 1, -1))
        both = steps.product(hidden, steps.matrix[:, : 2 * units])
        update, reset = (
            gate(op.two("add", steps.part(given, number), steps.part(both, number))) for number in range(2)
        )
        last = steps.matrix[:, 2 * units :]
        if after:
            inner = op.two("add", steps.product(hidden, last), state_bias[2 * units :].reshape(1, 1, -1))
            inner = op.two("mul", reset, inner)
        else:
            inner = steps.product(op.two("mul", reset, hidden), last)
        new = candidate(op.two("add", steps.part(given, 2), inner))
        # update * hidden + (1 - update) * new
        hidden = states[step] = op.two("add", new, op.two("mul", update, op.two("sub", hidden, new)))
    return [steps.joined(states), hidden]


RECURRENT: dict[str, Write[Operator, Any]] = {"GRU": _gru, "LSTM": _lstm}
"""The functions that convert operators, by ONNX' name."""
