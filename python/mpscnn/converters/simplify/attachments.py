"""Make layers a part of the layer before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mpscnn._private.needed_nodes import needed_nodes


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
