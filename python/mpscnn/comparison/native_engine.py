"""Networks of mpscnn, on its own engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mpscnn.comparison.trace import ACTIVATION, Array, Trace, Value, with_inner_marked
from mpscnn.graph.network import Network

# Layers whose result has the elements of their input, or some of them.
_MOVING = {"dropout", "reshape", "slice", "transpose"}
_KINDS = {"fully_connected": "dense", "neuron": ACTIVATION}


class NativeEngine:
    """A network on a device, in a precision.

    Args:
        network: with all weights.
        name: for tables.
        device, precision: as for `Network.compile`.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(
        self, network: Network, name: str, *, device: str = "cpu", precision: str = "float32"
    ) -> None:
        self._network = network
        self._device = device
        self.precision = precision
        self.title = f"{name} (mpscnn, {device}, {precision})"
        self.inputs = {tensor.name: tensor.shape for tensor in network.inputs}

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """See `Engine`. Every layer's result is an output, so that none is kept from memory by fusion."""
        nodes = self._network.to_dict()["nodes"]
        outputs = [tensor.name for tensor in self._network.outputs]
        names = [node["name"] for node in nodes]
        program = self._network.compile(device=self._device, precision=self.precision, outputs=names)
        given = dict(zip(self.inputs, inputs, strict=True))
        computed = program.session().run(given)
        results = computed if isinstance(computed, dict) else {names[0]: computed}
        values = [
            Value(node["name"], _kind(node["operation"]), np.asarray(results[node["name"]], np.float32))
            for node in nodes
            if node["operation"] not in _MOVING or node["name"] in outputs
        ]
        inputs_of = {node["name"]: node["inputs"] for node in nodes}
        return Trace(with_inner_marked(values, inputs_of, outputs), tuple(outputs))


def _kind(operation: str) -> str:
    return _KINDS.get(operation, operation)
