"""Run networks with mpscnn's own engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mpscnn._private.literals import PrecisionName
from mpscnn.comparison.trace import Array, Steps, Trace, Value
from mpscnn.graph.network import Network
from mpscnn.runtime.library import operations
from mpscnn.runtime.program import named_results
from mpscnn.runtime.slow_precision import on_trial

# Layers that only move or select elements of their input.
_MOVING = {"dropout", "reshape", "slice", "transpose"}
_KINDS = {"fully_connected": "dense", "neuron": "activation"}
# Operations that compiling fuses into the layer before them, each with the operations into which it can be fused.
_TAKEN_OVER_BY = {
    "neuron": frozenset(entry["name"] for entry in operations() if entry["takes_activation"]),
    "batch_normalization": frozenset({"convolution", "fully_connected", "transposed_convolution"}),
}


class NativeEngine:
    """A network on a device, in a precision.

    Args:
        network: the network with all weights.
        name: the name for tables.
        device, precision: as for `Network.compile`.
    """

    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(
        self, network: Network, name: str, *, device: str = "cpu", precision: PrecisionName = "float32"
    ) -> None:
        self.network = network
        self._nodes = whole_layers(network)
        self._outputs = [tensor.name for tensor in network.outputs]
        names = [node["name"] for node in self._nodes]
        with on_trial():
            self._session = network.compile(device=device, precision=precision, outputs=names).session()
        self.precision = precision
        self.title = f"{name} (mpscnn, {device}, {precision})"
        self.inputs = {tensor.name: tensor.shape for tensor in network.inputs}

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers.

        A convolution with its normalization and activation is one layer here.
        """
        results = named_results(self._session, dict(zip(self.inputs, inputs, strict=True)))
        values = [
            Value(
                node["name"],
                _KINDS.get(node["operation"], node["operation"]),
                np.asarray(results[node["name"]], np.float32),
                aliases=frozenset(node["parts"]),
            )
            for node in self._nodes
        ]
        return Trace(tuple(values), tuple(self._outputs))


def whole_layers(network: Network) -> list[dict[str, Any]]:
    """Return the nodes of a network that compute something and are not removed by compiling.

    A convolution with its batch normalization and its activation is one node: the last of them, with the operation of
    the first. "parts" has the names of the other nodes. Operations that cannot include an activation, such as
    reductions, round their own result. So they and the activation after them are two layers.
    """
    structure = network.to_dict()
    nodes = {node["name"]: {**node, "parts": []} for node in structure["nodes"]}
    readers: dict[str, int] = dict.fromkeys(structure["outputs"], 1)
    for node in nodes.values():
        for name in node["inputs"]:
            readers[name] = readers.get(name, 0) + 1
    for node in list(nodes.values()):
        before = nodes.get(node["inputs"][0])
        if node["operation"] not in _TAKEN_OVER_BY or len(node["inputs"]) != 1 or before is None:
            continue
        takes_over = before["operation"] in _TAKEN_OVER_BY[node["operation"]]
        if takes_over and readers[before["name"]] == 1 and "activation" not in before:
            del nodes[before["name"]]
            node["parts"] = [*before["parts"], before["name"]]
            node["operation"] = before["operation"]
    outputs = set(structure["outputs"])
    return [node for name, node in nodes.items() if node["operation"] not in _MOVING or name in outputs]
