"""Add the recurrent layers of programs and neural networks to the graph, as ONNX operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.onnx_builder.blocks import backwards
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.errors import WeightsError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Direction:
    """The weights of one direction, with the gates in ONNX' order.

    Attributes:
        input: (gates * units, features).
        state: (gates * units, units).
        bias: (gates * units,) of the sums.
        state_bias: (gates * units,) of the products with the state. They differ from `bias` only in a GRU that resets
            after the product.
    """

    input: Array
    state: Array
    bias: Array
    state_bias: Array


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer of the file.

    Attributes:
        kind: "LSTM", "GRU" or "RNN".
        directions: one, or forward and backward.
        functions: ONNX' names of the functions of all directions.
        reverse: whether the only direction begins with the last step. Core ML then returns the steps in the order in
            which they are computed.
        every_step: whether the first result has all steps; otherwise only the last one.
        attributes: further attributes of ONNX' operator.
    """

    kind: str
    directions: Sequence[Direction]
    functions: Sequence[str]
    reverse: bool
    every_step: bool
    attributes: dict[str, Any] = field(default_factory=dict)

    def add(self, b: Builder, x: str, states: Sequence[str]) -> list[str]:
        """Add the layer.

        Args:
            b: the graph.
            x: (steps, sequences, features).
            states: the hidden state, and of an LSTM the cell state, before the first step, each (directions, sequences,
                units); empty: zeros.

        Returns the steps, (steps or 1, sequences, directions * units), and the last states, (sequences, directions *
        units).
        """
        shapes = {tuple(one.shape for one in _parts(own)) for own in self.directions}
        if len(shapes) != 1:
            raise WeightsError("damaged: its directions have weights of different shapes")
        parts = [
            (own.input, own.state, np.concatenate([own.bias, own.state_bias])) for own in self.directions
        ]
        names = [
            b.weight(role, np.stack(own)) for role, own in zip("WRB", zip(*parts, strict=True), strict=True)
        ]
        count = len(self.directions)
        direction = "bidirectional" if count == 2 else "reverse" if self.reverse else "forward"
        steps, *last = b.ops(
            self.kind,
            [x, *names, "", *states],
            3 if self.kind == "LSTM" else 2,
            direction=direction,
            hidden_size=parts[0][1].shape[1],
            activations=list(self.functions),
            **self.attributes,
        )
        last = [_joined(b, one, 0) for one in last]
        if not self.every_step:
            return [b.op("Unsqueeze", last[0], b.integers([0])), *last]
        steps = _joined(b, steps, 1)
        return [backwards(b, steps, [0]) if self.reverse else steps, *last]


def by_gate(values: Array, kind: str) -> Array:
    """Return the weights or biases of a program's layer in ONNX' order of gates."""
    given = gates.CORE_ML[kind]
    if len(values) % len(given):
        raise WeightsError(f"damaged: {len(values)} rows of {len(given)} gates")
    return gates.reordered(values, given, gates.ONNX[kind])


def by_direction(b: Builder, state: str, directions: int, units: int) -> str:
    """Reshape a state (sequences, directions * units) to (directions, sequences, units)."""
    return b.op("Transpose", b.reshaped(state, [0, directions, units]), perm=[1, 0, 2])


def _parts(own: Direction) -> tuple[Array, ...]:
    return own.input, own.state, own.bias, own.state_bias


def _joined(b: Builder, tensor: str, axis: int) -> str:
    """Merge the axis of directions into the last axis, that of the units."""
    rank = b.rank(tensor)
    order = [place for place in range(rank) if place != axis]
    turned = b.op("Transpose", tensor, perm=[*order[:-1], axis, order[-1]])
    return b.reshaped(turned, [0] * (rank - 2) + [-1])
