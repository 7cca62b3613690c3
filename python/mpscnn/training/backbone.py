"""Use a classifier as a backbone for other classes: its features, its last blocks, and a new last layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.errors import UnsupportedError
from mpscnn.graph.integer_layers import without_integers
from mpscnn.graph.network import Network

__all__ = ["Backbone", "class_layer"]

_BEHIND_SCORES = ("softmax", "reshape", "log_softmax", "dropout")
_SCORES = ("fully_connected", "convolution")

Weights = Mapping[str, NDArray[Any]]


class Backbone:
    """A classifier without its last layer, in two parts: a fixed part, and the last blocks, which may be trained.

    Args:
        network: a classifier with one image as input. Its last layer is fully connected or a convolution with one
            output pixel, and may be followed by a softmax.
        trained_layers: the minimum number of layers with weights in the last blocks, which are the whole network if it
            has fewer; 0: there are no such blocks. They begin where all later layers together read only one earlier
            tensor.

    Attributes:
        features: the layer that the classifier's last layer reads.
        cut: the layer (or input) that the last blocks read; `features` if there are none.

    Raises:
        UnsupportedError: the network is not such a classifier.
    """

    def __init__(self, network: Network, trained_layers: int) -> None:
        # Quantization scales would not fit the trained weights.
        self.network = network = without_integers(network)
        structure = network.to_dict()
        self._nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in structure["nodes"]}
        self.features = self._features()
        self._part = network.subgraph([self.features]) if self.features in self._nodes else network
        self._order = [node["name"] for node in self._part.to_dict()["nodes"]]
        self.cut = self._find_cut(trained_layers)

    def _features(self) -> str:
        net = self.network
        if len(net.inputs) == 1 and len(net.outputs) == 1 and len(net.input.shape) == 4:
            name = net.outputs[0].name
            while (node := self._nodes.get(name)) and node["operation"] in _BEHIND_SCORES:
                name = node["inputs"][0]
            if node and node["operation"] in _SCORES and all(e == 1 for e in net[name].shape[1:-1]):
                before = str(node["inputs"][0])
                if before in self._nodes and None not in net[before].shape[1:]:
                    return before
        raise UnsupportedError(
            f"network {net.name!r} is not a classifier whose last layer can be replaced: expected are an image of a "
            "fixed size as input, and a fully connected layer, perhaps with a softmax, as the end"
        )

    def _find_cut(self, trained_layers: int) -> str:
        weighted = {spec["layer"] for spec in self.network.weight_specs()}
        if trained_layers == 0:
            return self.features
        learned = 0
        needed: set[str] = {self.features}  # the earlier layers that the layers from here on read
        for name in reversed(self._order):
            if needed == {name} and learned >= trained_layers:
                return str(name)
            if name in needed:
                needed.discard(name)
                needed.update(self._nodes[name]["inputs"])
                learned += name in weighted
        return self.network.input.name

    def extractor(self) -> Network:
        """Return the fixed part as a network: from photos to `cut`, and to `features` if that is another layer."""
        part = self.network.subgraph([self.features])
        named = dict.fromkeys([self.cut, self.features])
        structure = part.to_dict() | {"outputs": [name for name in named if name in self._nodes]}
        return part.restructured(structure)

    def head(self, classes: int) -> Network:
        """Return the new last layer as a network that reads `features`. Its weights are random with seed 0."""
        shape = self.network[self.features].shape[1:]
        net = Network(input={self.features: shape}, name="classes")
        _add_classes(net, net.input, classes, class_layer(self.network))
        net.initialize_weights(seed=0)
        return net

    def tail(self, classes: int, head: Weights) -> Network:
        """Return the last blocks and the new last layer as a network that reads `cut`.

        It has the weights of the backbone and of `head`.
        """
        structure = self._part.to_dict()
        first = self._order.index(self.cut) + 1 if self.cut in self._order else 0
        nodes = [self._nodes[name] for name in self._order[first:]]
        shape = [-1, *(extent or 0 for extent in self.network[self.cut].shape[1:])]
        structure |= {"inputs": [{"name": self.cut, "shape": shape}], "nodes": nodes, "outputs": []}
        net = Network.from_graph(_core.Graph.from_json(json.dumps(structure)))
        _add_classes(net, net[self.features], classes, class_layer(self.network))
        kept = {spec["layer"] for spec in net.weight_specs()}
        own = {name: value for name, value in self.network.weights.items() if name.rpartition(".")[0] in kept}
        net.load_weights({**own, **head})
        return net

    def joined(self, classes: int, weights: Weights) -> Network:
        """Return the whole network for the new classes.

        Args:
            weights: the trained weights: those of the new last layer and any others. The rest are the backbone's.
        """
        part = self.network.subgraph([self.features])
        net = part.restructured(part.to_dict() | {"outputs": []})
        _add_classes(net, net[self.features], classes, class_layer(self.network))
        net.set_weights(weights)
        net.preprocess = self.network.preprocess
        return net


def class_layer(network: Network) -> str:
    """Return a name for the new last layer that no layer has."""
    name = "classes"
    while {name, f"{name}_softmax"} & set(network.layer_names()):
        name += "_"
    return name


def _add_classes(net: Network, x: Any, classes: int, name: str) -> None:
    net.output(net.softmax(net.dense(x, classes, name=name), name=f"{name}_softmax"))


def as_arrays(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a network as float32 arrays."""
    return {name: np.array(value, np.float32) for name, value in network.weights.items()}
