"""The recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import stated
from mpscnn.converters.values import gates

Cells = Literal["LSTM", "GRU", "RNN"]


def recurrent(
    g: Operators, kind: Cells, x: Operand, weights: Operand, state_weights: Operand, biases: Operand,
    states: Sequence[Operand], *, hidden_size: int, direction: str, activations: Sequence[gates.Function] | None = None,
    activation_alpha: Sequence[float] | None = None, activation_beta: Sequence[float] | None = None,
    linear_before_reset: int | None = None,
) -> list[str]:  # fmt: skip
    """Add a recurrent layer. Its results are all steps and the last states."""
    functions = None if activations is None else [gates.FUNCTIONS[name] for name in activations]
    settings = stated(
        hidden_size=hidden_size, direction=direction, activations=functions, activation_alpha=activation_alpha,
        activation_beta=activation_beta, linear_before_reset=linear_before_reset,
    )  # fmt: skip
    operands = [x, weights, state_weights, biases, None, *states]
    return g.ops(kind, operands, 3 if kind == "LSTM" else 2, **settings)
