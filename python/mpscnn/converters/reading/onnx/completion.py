"""Complete a network: nodes that compute a part of the layer before them lose their own layer, and layers get names.

A node is converted without knowing which nodes read its result. So each node has layers of its own at first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mpscnn._private.needed_nodes import needed_nodes
from mpscnn.converters.finishing.renaming import rename_layers
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.neurons import PLAIN
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.operators import ROWS
from mpscnn.converters.reading.onnx.row_calls import layer_takes_activation
from mpscnn.converters.values.integer_limits import clip_limits
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.settings import copy_settings
from mpscnn.runtime.library import operations


class Attachments:
    """The layers of a network, some of which become a part of the layer before them.

    Args:
        structure: the network, in the form of `Network.to_dict`.

    Attributes:
        layers: the descriptions of the layers that are left, by name. They may be changed.
        into: for each layer that became a part of another one, the name of that one.
    """

    def __init__(self, structure: Mapping[str, Any]) -> None:
        self._structure = structure
        self.layers: dict[str, dict[str, Any]] = {node["name"]: dict(node) for node in structure["nodes"]}
        self.into: dict[str, str] = {}
        self._readers = Counter(name for node in structure["nodes"] for name in node["inputs"])
        self._readers.update(structure["outputs"])

    def before(self, source: str) -> str | None:
        """Return the layer that computes a result; None if the result is an input or several layers need it."""
        layer = self.into.get(source, source)
        return layer if self._readers[source] == 1 and layer in self.layers else None

    def attach(self, name: str, layer: str) -> None:
        """Record that a layer became a part of the layer that computes one of its operands."""
        del self.layers[name]
        self.into[name] = layer

    def structure(self) -> dict[str, Any]:
        """Return the network with the layers that its outputs need."""
        outputs = [self.into.get(name, name) for name in self._structure["outputs"]]
        nodes = [
            node | {"inputs": [self.into.get(name, name) for name in node["inputs"]]}
            for node in self.layers.values()
        ]
        return {**self._structure, "nodes": needed_nodes(nodes, outputs), "outputs": outputs}


# A division may become a layer that takes no activation, such as a local response normalization.
_WITHOUT_ACTIVATION = frozenset({"matrix_product", "neuron"}) | frozenset(
    entry["name"] for entry in operations() if not entry["takes_activation"]
)
# The engine multiplies an operand by the factor before the product. Smaller factors might lose digits of small numbers.
_MIN_FACTOR = 2.0**-32


def complete(c: Context) -> None:
    """Replace the context's network by the complete one, whose layers have their final names and weights.

    Raises UnsupportedError if a trainable parameter would not be trained as in its module.
    """
    structure = c.network.to_dict()
    merged = _Merging(c, structure).merged()
    made = merged.structure()
    kept = {node["name"] for node in made["nodes"]}
    names = c.naming.planned.finished({node["name"] for node in structure["nodes"]} - kept)
    final = {name: names.final_of(name) for name in kept}
    network = c.network.restructured(rename_layers(made, final), final)
    copy_settings(c.network, network)
    into = {name: final[layer] for name, layer in merged.into.items() if layer in final}
    c.finish(network, names, final, into)
    if c.composed is not None:
        c.composed.moved(network, final, into).keep()
    try:
        c.notes += c.parameters.settle(network, c.nodes)
    except UnsupportedError as error:
        raise UnsupportedError(f"{c.file.origin}: {error}") from error


class _Merging:
    """Finds layers that become a part of the layer before them: activations, biases, factors and limits of integers."""

    def __init__(self, c: Context, structure: Mapping[str, Any]) -> None:
        self._c = c
        self._all = Attachments(structure)
        self._structure = structure
        # The tensor of the file that a layer computes with all its parts.
        self._ends = {layer: node.outputs[0] for layer, node in c.naming.operators.items()}

    def merged(self) -> Attachments:
        """Return the layers, with all parts merged."""
        for layer in self._structure["nodes"]:
            node = self._c.naming.operators.get(layer["name"])
            if node is not None:
                self._merge(layer, node)
        return self._all

    def _merge(self, layer: Mapping[str, Any], node: Node) -> None:
        name = layer["name"]
        for source in dict.fromkeys(layer["inputs"]):
            before = self._all.before(source)
            operator = None if before is None else self._c.naming.operators.get(before)
            if before is None or operator is None:
                continue
            if self._becomes_part(layer, node, before, operator):
                self._all.attach(name, before)
                self._ends[before] = node.outputs[0]
                return

    def _becomes_part(self, layer: Mapping[str, Any], node: Node, before: str, operator: Node) -> bool:
        end, target = self._ends[before], self._all.layers[before]
        if layer["name"] in self._c.integers.limits:
            return self._becomes_limits(layer["name"], end, target, operator)
        if end not in node.inputs or "activation" in target:
            return False
        if layer["operation"] == "neuron" and node.kind in PLAIN:
            return self._becomes_activation(layer, target, operator)
        if not ops.matches(operator, ops.matmul) or len(node.inputs) != 2:
            return False
        other = node.inputs[node.inputs[0] == end]
        if target["operation"] == "matrix_product":
            return self._becomes_factor(layer, node, target, is_first=node.inputs[0] == end)
        return ops.matches(node, ops.add) and self._becomes_bias(other, before, target)

    def _becomes_activation(self, layer: Mapping[str, Any], target: dict[str, Any], operator: Node) -> bool:
        if not _takes_activation(operator, target):
            return False
        target["activation"] = layer["attributes"]
        return True

    def _becomes_limits(self, name: str, end: str, target: dict[str, Any], operator: Node) -> bool:
        """Merge a clip to the range of integers into the activation before it, if that only clips, too."""
        source, grid = self._c.integers.limits[name]
        is_neuron = target["operation"] == "neuron" and operator.kind in PLAIN
        if source != end or not (is_neuron or _takes_activation(operator, target)):
            return False
        place = "attributes" if is_neuron else "activation"
        try:
            limits = clip_limits(target.get(place), grid)
        except Error:
            return False
        if limits is None or not all(map(math.isfinite, limits)):
            return False
        target[place] = {"kind": "clamp", "a": limits.low, "b": limits.high}
        return True

    def _becomes_factor(
        self, layer: Mapping[str, Any], node: Node, target: dict[str, Any], *, is_first: bool
    ) -> bool:
        """Let a constant factor after a product of two tensors, as in attention, become part of it."""
        scales = ops.matches(node, ops.multiply) or (ops.matches(node, ops.divide) and is_first)
        if layer["operation"] != "neuron" or not scales:
            return False
        function = layer["attributes"]
        is_factor = function["kind"] == "linear" and function.get("b", 0.0) == 0.0
        if (
            not is_factor
            or target["attributes"]["scale"] != 1.0
            or not _MIN_FACTOR <= abs(function["a"]) <= 1.0
        ):
            return False
        target["attributes"] = {**target["attributes"], "scale": function["a"]}
        return True

    def _becomes_bias(self, name: str, layer: str, target: Mapping[str, Any]) -> bool:
        """Let a constant that is added to each column of a product become the bias of its dense layer."""
        c = self._c
        if target["operation"] not in ("fully_connected", "convolution") or c.weights.has(layer, "bias"):
            return False
        constant, units = c.constants.find(name), c.network[layer].shape[-1]
        if constant is None or not constant.is_fixed or constant.low.shape != (units,):
            return False
        c.weights.set(layer, "bias", c.constants.real_view(name, "its biases"), name)
        return True


def _takes_activation(operator: Node, layer: Mapping[str, Any]) -> bool:
    """Return True if an activation may be attached to the layer of an operator."""
    row = ROWS.get(operator.kind)
    return row is not None and layer_takes_activation(row) and layer["operation"] not in _WITHOUT_ACTIVATION
