"""Add the recurrent layers of programs and neural networks to the graph, as ONNX operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.blocks import reverse
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values import gates
from mpscnn.converters.values.recurrent_layer import RecurrentWeights
from mpscnn.errors import WeightsError


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

    kind: ops.Cells
    directions: Sequence[RecurrentWeights]
    functions: Sequence[gates.Function]
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
        directions = [own.in_order(gates.ONNX[self.kind]) for own in self.directions]
        if len({tuple(part.shape for part in parts) for parts in directions}) != 1:
            raise WeightsError("damaged: its directions have weights of different shapes")
        parts = [
            (weight, state, np.concatenate([bias, state_bias]))
            for weight, state, bias, state_bias in directions
        ]
        weights, state_weights, biases = (
            b.weight(role, np.stack(own)) for role, own in zip("WRB", zip(*parts, strict=True), strict=True)
        )
        count = len(self.directions)
        direction = "bidirectional" if count == 2 else "reverse" if self.reverse else "forward"
        steps, *last = ops.recurrent(
            b,
            self.kind,
            x,
            weights,
            state_weights,
            biases,
            states,
            hidden_size=parts[0][1].shape[1],
            direction=direction,
            activations=list(self.functions),
            **self.attributes,
        )
        last = [_joined(b, one, 0) for one in last]
        if not self.every_step:
            return [ops.unsqueeze(b, last[0], [0]), *last]
        steps = _joined(b, steps, 1)
        return [reverse(b, steps, [0]) if self.reverse else steps, *last]


def split_directions(b: Builder, state: str, directions: int, units: int) -> str:
    """Reshape a state (sequences, directions * units) to (directions, sequences, units)."""
    return ops.transpose(b, ops.reshape(b, state, [0, directions, units]), perm=[1, 0, 2])


def _joined(b: Builder, tensor: str, axis: int) -> str:
    """Merge the axis of directions into the last axis, that of the units."""
    rank = b.rank(tensor)
    order = [place for place in range(rank) if place != axis]
    turned = ops.transpose(b, tensor, perm=[*order[:-1], axis, order[-1]])
    return ops.reshape(b, turned, [0] * (rank - 2) + [-1])
