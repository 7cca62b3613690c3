"""Bring sequences into the form of images, which recurrent layers read and write."""

from __future__ import annotations

from typing import Any, NamedTuple

from mpscnn._private.arguments import whole_number
from mpscnn.errors import ShapeError
from mpscnn.graph.layer_arguments import Activation, activation_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class Recurrent(NamedTuple):
    """The results of a recurrent layer.

    Attributes:
        steps: the hidden state of each step in the input's order: (n, steps, units), or (n, steps, sequences, units)
            for several sequences.
        last: the hidden state after the step that is computed last, (n, units) or (n, sequences, units).
        cell: the cell state after that step, with the same shape; None for layers without one.
    """

    steps: Tensor
    last: Tensor
    cell: Tensor | None


class Filtered(NamedTuple):
    """The results of filters over time (`svdf`).

    Attributes:
        steps: the results of each step, (n, steps, units).
        history: the `history` with which a second call can continue; None if the first call had none.
    """

    steps: Tensor
    history: Tensor | None


def gate_function(gate: str, function: Activation) -> dict[str, Any]:
    """Return the function of a gate as parameters of the operations `lstm` and `gru`."""
    neuron = activation_attributes(function) or {"kind": "none"}
    return {gate: neuron["kind"]} | {f"{gate}_{name}": neuron.get(name, 0.0) for name in ("a", "b")}


class Sequences:
    """The sequences of one recurrent layer, as images (n, steps, sequences, channels)."""

    def __init__(self, net: LayerMaker, x: Tensor, units: int, *, name: str | None, default: str) -> None:
        self._net = net
        self.units = whole_number(f"{default}: units", units)
        if len(x.shape) not in (3, 4) or None in x.shape[1:]:
            raise ShapeError(
                f"{default}: takes (n, steps, features) or (n, steps, sequences, features) of fixed sizes, "
                f"got {x.shape}"
            )
        self._is_flat = len(x.shape) == 3
        self.steps, self._sequences = int(x.shape[1] or 0), int(1 if self._is_flat else x.shape[2] or 0)
        self._stem, self._has_name = name or default, name is not None
        self.image = x
        if self._is_flat:
            shape = [self.steps, 1, int(x.shape[2] or 0)]
            self.image = self.layer("reshape", [x], {"shape": shape}, "sequence")

    def names(self, suffix: str) -> tuple[str | None, str]:
        """Return the name and the default name of an inner layer, which are "<recurrent layer>/<suffix>".

        The name is None if the user gave the recurrent layer no name. The default name then gets a number if needed.
        """
        name = f"{self._stem}/{suffix}"
        return name if self._has_name else None, name

    def layer(self, operation: str, inputs: list[Tensor], attributes: dict[str, Any], suffix: str) -> Tensor:
        """Add a layer."""
        name, default = self.names(suffix)
        return self._net.layer(operation, inputs, attributes, name=name, default=default)

    def product(self, channels: int, role: str) -> Tensor:
        """Multiply the features of each step by a matrix, and add biases."""
        attributes = {"output_channels": channels, "kernel_height": 1, "kernel_width": 1}
        return self.layer("convolution", [self.image], attributes, role)

    def states(self, **given: Tensor | None) -> list[Tensor]:
        """Return the states before the first step as images; none if no state is given.

        If only one of two states is given, the other one is zeros.
        """
        known = next((state for state in given.values() if state is not None), None)
        if known is None:
            return []
        return [self._state(known, name, is_zero=True) if state is None else self._state(state, name)
                for name, state in given.items()]  # fmt: skip

    def _state(self, state: Tensor, name: str, *, is_zero: bool = False) -> Tensor:
        if is_zero:
            state = self._part("neuron", state, {"kind": "clamp", "a": 0.0, "b": 0.0}, "zeros")
        return self._part("reshape", state, {"shape": [1, self._sequences, self.units]}, f"given_{name}")

    def results(self, states: Tensor, *, reverse: bool, has_cell: bool) -> Recurrent:
        """Return the results of a layer whose image has the hidden states, then the cell state if there is one."""
        rows = [(0, self.steps, "steps"), (0 if reverse else self.steps - 1, 1, "last")]
        rows += [(self.steps, 1, "cell")] * has_cell
        made = [self._rows(states, *row, count=self.steps + has_cell) for row in rows]
        return Recurrent(made[0], made[1], made[2] if has_cell else None)

    def _rows(self, states: Tensor, first: int, height: int, suffix: str, *, count: int) -> Tensor:
        part = states
        if height != count:
            part = self._part("slice", states, {"top": first, "height": height}, f"{suffix}_rows")
        extents = [self.steps] * (suffix == "steps") + [self._sequences] * (not self._is_flat) + [self.units]
        return self.layer("reshape", [part], {"shape": extents}, suffix)

    def _part(self, operation: str, x: Tensor, attributes: dict[str, Any], what: str) -> Tensor:
        return self._net.layer(operation, [x], attributes, default=f"{self._stem}/{what}")
