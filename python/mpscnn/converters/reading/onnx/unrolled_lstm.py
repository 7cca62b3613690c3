"""Convert an LSTM with peepholes, limits of its sums or coupled gates.

Recurrent layers have none of these, so each step becomes layers of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading.onnx.attention_masks import constant_of_node
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.recurrent import Recurrent

_LAYERS = 25  # the number of layers of a step
_MAX_STEPS = 1024  # the number of tensors that one layer joins
_GATES = ("input", "output", "forget", "candidate")
"""The gates in ONNX' order."""


@dataclass(frozen=True)
class LstmSettings:
    """The parts of an LSTM besides the usual weights.

    Attributes:
        peepholes: (3 * units,), the factors of the cell state for the gates input, output and forget; None: zeros.
        limit: the sums of all gates are clipped to -limit and limit; None: they are not.
        couples: whether the forget gate is 1 - the input gate.
    """

    peepholes: NDArray[np.float32] | None
    limit: float | None
    couples: bool

    @property
    def are_usual(self) -> bool:
        """True if a recurrent layer computes the LSTM."""
        return self.peepholes is None and self.limit is None and not self.couples


def unrolled_lstm(
    c: Context,
    node: Node,
    x: Tensor,
    weights: Sequence[NDArray[np.float32]],
    functions: Sequence[Activation],
    settings: LstmSettings,
    states: Sequence[Tensor | None],
    *,
    place: int,
    reverse: bool,
) -> Recurrent:
    """Add the layers of all steps of one direction.

    Args:
        c: the conversion.
        node: the LSTM.
        x: (n, steps, 1, features).
        weights: the matrices of the input (4 * units, features) and of the state (4 * units, units), and the biases of
            both, each (4 * units,).
        functions: the functions of the gates, of the candidates and of the cell state.
        settings: the peepholes and limits.
        states: the first hidden and cell state (n, 1, 1, units); None: zeros.
        place: the number of the direction.
        reverse: whether to begin with the last step.
    """
    steps, units = int(x.shape[1] or 0), weights[1].shape[1]
    if c.arranger.batch is None or x.shape[2] != 1 or not 1 <= steps <= _MAX_STEPS:
        raise UnsupportedError(
            f"with peepholes or limits it takes 1 to {_MAX_STEPS} steps of one sequence: {CHOOSE_SIZE}"
        )
    c.constants.budget.spend(Cost.of_layers(_LAYERS * steps))
    constants = _Constants(c, node, f"direction{place}")
    sequence = FileTensor.from_tensor(c.arranger, x).squeeze([2])
    matrix = constants.matrix("weights", weights[0].T)
    bias = constants.matrix("biases", (weights[2] + weights[3])[None])
    sums = sequence.matmul(matrix).combine("add", bias, "/sums")
    parts = [] if settings.peepholes is None else np.split(settings.peepholes, 3)
    cell = _Cell(
        constants.matrix("state_weights", weights[1].T),
        [constants.matrix(f"peephole{gate}", part[None]) for gate, part in enumerate(parts)],
        functions,
        settings,
        units,
    )
    h, state = (
        None if one is None else FileTensor.from_tensor(c.arranger, one).squeeze([1]) for one in states
    )
    results: list[FileTensor] = []
    for step in range(steps - 1, -1, -1) if reverse else range(steps):
        h, state = cell.next(sums.slice_axis(1, range(step, step + 1)), h, state)
        results.append(h)
    ordered = results[::-1] if reverse else results
    whole = ordered[0].concat(ordered[1:], 1) if steps > 1 else ordered[0]
    assert h is not None
    assert state is not None
    return Recurrent(
        c.arranger.physical(whole, (whole.axes[1], (), whole.axes[2])),
        c.arranger.physical(h, ((), h.axes[2])),
        c.arranger.physical(state, ((), state.axes[2])),
    )


class _Constants:
    """Makes the constants of one direction as tensors (1, rows, columns)."""

    def __init__(self, c: Context, node: Node, direction: str) -> None:
        self._c, self._node, self._direction = c, node, direction

    def matrix(self, name: str, numbers: NDArray[np.float32]) -> FileTensor:
        return constant_of_node(self._c, self._node, numbers[None], f"{self._direction}/{name}", 3)


@dataclass(frozen=True)
class _Cell:
    """Computes one step.

    Attributes:
        matrix: the weights of the hidden state (1, units, 4 * units).
        peepholes: the factors of the cell state for each gate but the candidate; empty: zeros.
        functions: the functions of the gates, of the candidates and of the cell state.
        settings: the limits.
        units: the number of units.
    """

    matrix: FileTensor
    peepholes: Sequence[FileTensor]
    functions: Sequence[Activation]
    settings: LstmSettings
    units: int

    def next(
        self, sums: FileTensor, h: FileTensor | None, state: FileTensor | None
    ) -> tuple[FileTensor, FileTensor]:
        """Return the hidden and the cell state after a step; `sums` (n, 1, 4 * units) are those of the input."""
        if h is not None:
            sums = sums.combine("add", h.matmul(self.matrix), "/gates")
        gate, candidate, output = self.functions
        taken = self._gate(0, sums, state, gate)
        made = taken.combine("multiply", self._gate(3, sums, None, candidate), "/made")
        if state is not None:
            kept = (
                taken.linear(-1.0, 1.0, "/kept")
                if self.settings.couples
                else self._gate(2, sums, state, gate)
            )
            made = made.combine("add", kept.combine("multiply", state, "/old"), "/cell")
        shown = self._gate(1, sums, made, gate)
        return shown.combine("multiply", made.map(output, "/shown"), "/hidden"), made

    def _gate(
        self, number: int, sums: FileTensor, state: FileTensor | None, function: Activation
    ) -> FileTensor:
        x = sums.slice_axis(2, range(number * self.units, (number + 1) * self.units))
        factors = self.peepholes[number] if number < len(self.peepholes) else None
        if factors is not None and state is not None:
            x = x.combine("add", state.combine("multiply", factors, "/seen"), "/with_cell")
        if self.settings.limit is not None:
            x = x.map({"kind": "clamp", "a": -self.settings.limit, "b": self.settings.limit}, "/limited")
        return x.map(function, f"/{_GATES[number]}")
