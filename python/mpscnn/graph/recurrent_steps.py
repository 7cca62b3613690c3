"""Add the layers for the steps of a recurrent layer."""

from __future__ import annotations

from typing import Any, NamedTuple

from mpscnn._private.arguments import require_bool, whole_number
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.layer_arguments import Activation, activation_attributes
from mpscnn.graph.layers.arithmetic import broadcast_strides
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

MOST_STEPS = 500
"""The largest number of steps. Each step needs several layers, and a network may have at most 10,000."""


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


class RecurrentSteps:
    """Adds the layers of a recurrent layer's steps. Tensors are images (n, steps, sequences, channels)."""

    def __init__(
        self,
        net: LayerMaker,
        x: Tensor,
        units: int,
        gates: int,
        *,
        reverse: bool,
        name: str | None,
        default: str,
        most: int | None = MOST_STEPS,
        role: str = "input",
    ) -> None:
        self._net = net
        self.units = whole_number(f"{default}: units", units)
        if len(x.shape) not in (3, 4) or None in x.shape[1:]:
            raise ShapeError(
                f"{default}: takes (n, steps, features) or (n, steps, sequences, features) of fixed sizes, "
                f"got {x.shape}"
            )
        self._is_flat = len(x.shape) == 3
        self.steps, self._sequences = int(x.shape[1] or 0), int(1 if self._is_flat else x.shape[2] or 0)
        if most is not None and self.steps > most:
            raise ParameterError(f"{default}: {self.steps} steps; supported are up to {most}")
        self._stem, self._has_name = name or default, name is not None
        self._first = x
        image = x
        if self._is_flat:
            shape = [self.steps, 1, int(x.shape[2] or 0)]
            image = self.layer("reshape", [x], {"shape": shape}, "sequence")
        attributes = {"output_channels": gates * self.units, "kernel_height": 1, "kernel_width": 1}
        self.projected = self.layer("convolution", [image], attributes, role)
        reverse = require_bool(f"{default}: reverse", reverse)
        self.order = list(range(self.steps))[:: -1 if reverse else 1]
        self._results: dict[int, Tensor] = {}

    def layer(self, operation: str, inputs: list[Tensor], attributes: dict[str, Any], suffix: str) -> Tensor:
        """Add a layer. Its name is the recurrent layer's name and the suffix."""
        stem = f"{self._stem}/{suffix}"
        if self._has_name:
            return self._net.layer(operation, inputs, attributes, name=stem)
        return self._net.layer(operation, inputs, attributes, default=stem)

    def constant(self, suffix: str, shape: tuple[int, ...]) -> Tensor:
        """Add a weight as a tensor that training changes."""
        made = self.layer("constant", [self._first], {"shape": list(shape)}, suffix)
        made.graph.set_learning(made.index, True)
        return made

    def given(self, state: Tensor | None, what: str) -> Tensor | None:
        """Return a given initial state in the shape of the steps' tensors; None if there is none."""
        if state is None:
            return None
        shape = [1, self._sequences, self.units]
        return self._layer("reshape", [state], {"shape": shape}, f"given_{what}")

    def projection(self, step: int) -> Tensor:
        """Return the input's contribution to the sums of one step."""
        if self.steps == 1:
            return self.projected
        return self._layer("slice", [self.projected], {"top": step, "height": 1}, "step")

    def channels(self, x: Tensor, first: int, count: int) -> Tensor:
        """Return a slice of channels."""
        if x.shape[-1] == count:
            return x
        return self._layer("slice", [x], {"front": first, "channels": count}, "part")

    def product(self, state: Tensor, matrix: Tensor) -> Tensor:
        """Return the state times a matrix."""
        return self._layer("matrix_product", [state, matrix], {}, "product")

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the sum."""
        return self._pairwise("add", a, b, "sum")

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the difference."""
        return self._pairwise("subtract", a, b, "difference")

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the elementwise product."""
        return self._pairwise("multiply", a, b, "gated")

    def function(self, x: Tensor, function: Activation) -> Tensor:
        """Apply a function to each element. Without a function, return x."""
        attributes = activation_attributes(function)
        return x if attributes is None else self._layer("neuron", [x], attributes, "function")

    def ended(self, step: int, hidden: Tensor) -> None:
        """Store the hidden state of a step."""
        self._results[step] = hidden

    def results(self, hidden: Tensor | None, cell: Tensor | None) -> Recurrent:
        """Combine the results of all steps."""
        assert hidden is not None
        made = [self._results[step] for step in range(self.steps)]
        steps = made[0]
        if len(made) > 1:
            steps = self.layer("concatenation", made, {"axis": 1}, "all")
        last = self._shaped(hidden, "last", steps=False)
        return Recurrent(
            self._shaped(steps, "steps", steps=True),
            last,
            None if cell is None else self._shaped(cell, "cell", steps=False),
        )

    def _shaped(self, x: Tensor, suffix: str, *, steps: bool) -> Tensor:
        extents = [self.steps] * steps + [self._sequences] * (not self._is_flat) + [self.units]
        return self.layer("reshape", [x], {"shape": extents}, suffix)

    def _pairwise(self, operation: str, a: Tensor, b: Tensor, what: str) -> Tensor:
        return self._layer(operation, [a, b], broadcast_strides(operation, a, b), what)

    def _layer(self, operation: str, inputs: list[Tensor], attributes: dict[str, Any], what: str) -> Tensor:
        return self._net.layer(operation, inputs, attributes, default=f"{self._stem}/{what}")
