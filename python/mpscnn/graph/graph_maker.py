"""Build a graph by adding layers. A network and its tensors share the builder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number, require_bool
from mpscnn._private.settings import as_json
from mpscnn.errors import ParameterError
from mpscnn.graph.layer_arguments import Activation, activation_attributes
from mpscnn.graph.layers.arithmetic import ArithmeticLayers
from mpscnn.graph.layers.layer_maker import Arithmetic, Tensor


class GraphMaker(ArithmeticLayers):
    """Adds layers to a graph, and keeps the names of its tensors.

    Args:
        graph: the graph.
        owner: the network's name in messages.
        indices: the positions of inputs and layers by name, in order.
    """

    def __init__(self, graph: _core.Graph, owner: str, indices: dict[str, int]) -> None:
        self.graph = graph
        self.owner = owner
        self.indices = indices
        self.without_bias: set[str] = set()
        """The layers created with `use_bias=False`."""
        self._names_used: dict[str, int] = {}

    def layer(
        self,
        operation: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        *,
        activation: Activation = None,
        name: str | None = None,
        default: str | None = None,
    ) -> Tensor:
        """Add a layer with any operation. See `Network.layer`."""
        for tensor in inputs:
            self.require_own(tensor)
        name = self._name_of(operation, name, default or operation)
        neuron = activation_attributes(activation)
        index = self.graph.add_node(
            operation,
            name,
            [tensor.index for tensor in inputs],
            as_json(f"layer {name!r}: {operation}", attributes),
            "" if neuron is None else as_json(f"layer {name!r}: neuron", neuron),
        )
        return self.added(index, name)

    def custom(
        self,
        name: str | None,
        inputs: Sequence[Tensor],
        function: Callable[..., Any],
        shape: Sequence[int],
        *,
        takes_output: bool,
    ) -> Tensor:
        """Add a layer that a Python function computes. See `Network.custom`."""
        for tensor in inputs:
            self.require_own(tensor)
        name = self._name_of("custom", name, "custom")
        index = _core.add_custom(
            self.graph, name, [tensor.index for tensor in inputs], function, list(shape), takes_output
        )
        return self.added(index, name)

    def combined(self, operation: Arithmetic, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Add the layer of an arithmetic operation on two tensors, or on a tensor and a number.

        Raises:
            ParameterError: an operand has another type or is a tensor of another network; a number is not finite, or
                divides and has no finite reciprocal.
            ShapeError: the shapes do not fit.
        """
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            result: Tensor = getattr(self, operation)(a, b)
            return result
        if isinstance(a, Tensor) and is_finite_number(b):
            if operation == "multiply":
                return self._line(a, float(b), 0.0, operation)
            if operation == "divide":
                return self._line(a, _reciprocal(float(b)), 0.0, operation)
            return self._line(a, 1.0, float(b) if operation == "add" else -float(b), operation)
        if not isinstance(b, Tensor) or not is_finite_number(a):
            raise ParameterError(
                f"{operation}: operands are two tensors, or a tensor and a finite number, "
                f"got {_shown(a)} and {_shown(b)}"
            )
        if operation == "subtract":
            return self._line(b, -1.0, float(a), operation)
        if operation != "divide":
            return self.combined(operation, b, a)
        # The sum of x and -0 is x, also for x = -0; the inverse of -0 is minus infinity.
        power = {"kind": "power", "a": 1.0, "b": -0.0, "c": -1.0}
        inverse = self.layer("neuron", [b], power, default="reciprocal")
        return inverse if a == 1 else self._line(inverse, float(a), 0.0, operation)

    def _line(self, x: Tensor, scale: float, bias: float, stem: str) -> Tensor:
        """Add a layer that computes scale * x + bias."""
        return self.layer("neuron", [x], {"kind": "linear", "a": scale, "b": bias}, default=stem)

    def with_bias(self, made: Tensor, use_bias: bool | None) -> Tensor:
        """Set whether a new layer has a bias, which is zero at first. None: it has one if its weights have one."""
        if use_bias is not None and not require_bool("use_bias", use_bias):
            self.without_bias.add(made.name)
        elif use_bias:
            (shape,) = (
                spec["shape"]
                for spec in json.loads(self.graph.weights())
                if (spec["layer"], spec["role"]) == (made.name, "bias")
            )
            self.graph.set_weight(made.name, "bias", np.zeros(shape, np.float32))
        return made

    def require_own(self, tensor: object) -> None:
        """Raise ParameterError if the value is not a tensor of this graph."""
        if not isinstance(tensor, Tensor):
            hint = "; arrays are for network.predict(x)" if hasattr(tensor, "shape") else ""
            if fields := [
                name for name in getattr(tensor, "_fields", ()) if getattr(tensor, name) is not None
            ]:
                hint = f"; take one of its tensors: {', '.join(f'.{name}' for name in fields)}"
            raise ParameterError(
                f"expected a Tensor of network {self.owner!r} (network.input or a layer's result), "
                f"got {type(tensor).__name__}{hint}"
            )
        if tensor.maker is not self:
            raise ParameterError(f"{tensor!r} belongs to another network")

    def added(self, index: int, name: str) -> Tensor:
        """Register a new input or layer, and return its tensor."""
        self.indices[name] = index
        return Tensor(self, index, name)

    def _name_of(self, operation: str, name: str | None, stem: str) -> str:
        if name is not None and not isinstance(name, str):
            raise ParameterError(f"{operation}: name must be a string, got {name!r}")
        if name is not None:
            return name
        while True:
            self._names_used[stem] = self._names_used.get(stem, 0) + 1
            free = f"{stem}_{self._names_used[stem]}"
            if free not in self.indices:
                return free


def _shown(operand: object) -> str:
    return repr(operand) if isinstance(operand, (Tensor, int, float)) else type(operand).__name__


def _reciprocal(number: float) -> float:
    """Return 1 / number. Raise ParameterError if this reciprocal is not a finite float32."""
    if abs(number) <= 1.0 / float(np.finfo(np.float32).max):
        raise ParameterError(f"divide: a tensor cannot be divided by {number!r}")
    return 1.0 / number
