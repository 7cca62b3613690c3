"""Use a classifier as a backbone for other classes: its features, its last blocks, and a new last layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.literals import ScoresName
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.class_head import add_classes, class_layer, classifier_name, feature_layer, map_layer
from mpscnn.graph.integer_layers import without_integers
from mpscnn.graph.network import Network

Weights = Mapping[str, NDArray[Any]]


class Backbone:
    """A classifier without its last layer, in two parts: a fixed part, and the last blocks, which may be trained.

    Args:
        network: a classifier with one image as input. Its last layer is fully connected or a convolution with one
            output pixel, and may be followed by a softmax.
        trained_layers: the minimum number of layers with weights in the last blocks, which are the whole network if it
            has fewer; 0: there are no such blocks. They begin where all later layers together read only one earlier
            tensor.
        keeps_places: whether the new last layer reads the map before the last pooling, which knows places.

    Attributes:
        features: the layer that the new last layer reads.
        cut: the layer (or input) that the last blocks read; `features` if there are none.

    Raises:
        UnsupportedError: the network is not such a classifier.
    """

    def __init__(self, network: Network, trained_layers: int, *, keeps_places: bool = False) -> None:
        # Quantization scales would not fit the trained weights.
        self.network = network = without_integers(network)
        structure = network.to_dict()
        self._nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in structure["nodes"]}
        self.features = map_layer(network) if keeps_places else feature_layer(network)
        self._part = network.subgraph([self.features]) if self.features in self._nodes else network
        self._order = [node["name"] for node in self._part.to_dict()["nodes"]]
        self.cut = self._find_cut(trained_layers)

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

    def head(self, classes: int, end: ScoresName = "softmax") -> Network:
        """Return the new last layer as a network that reads `features`. Its weights are random with seed 0.

        `end` is the function in which it ends; "as is": none.
        """
        net = Network(input={self.features: self.network[self.features].shape[1:]}, name="classes")
        net.output(add_classes(net, net.input, classes, class_layer(self.network), end))
        net.initialize_weights(seed=0)
        return net

    def tail(self, classes: int, head: Weights, end: ScoresName = "softmax") -> Network:
        """Return the last blocks and the new last layer as a network that reads `cut`.

        It has the weights of the backbone and of `head`.
        """
        structure = self._part.to_dict()
        first = self._order.index(self.cut) + 1 if self.cut in self._order else 0
        nodes = [self._nodes[name] for name in self._order[first:]]
        shape = [-1, *(extent or 0 for extent in self.network[self.cut].shape[1:])]
        structure |= {"name": classifier_name(classes), "outputs": []}
        structure |= {"inputs": [{"name": self.cut, "shape": shape}], "nodes": nodes}
        net = Network.from_graph(_core.Graph.from_json(json.dumps(structure)))
        net.output(add_classes(net, net[self.features], classes, class_layer(self.network), end))
        kept = {spec["layer"] for spec in net.weight_specs()}
        own = {name: value for name, value in self.network.weights.items() if name.rpartition(".")[0] in kept}
        net.load_weights({**own, **head}, layout="OHWI")
        return net

    def joined(
        self, classes: int, weights: Weights, end: ScoresName = "softmax", title: str | None = None
    ) -> Network:
        """Return the whole network for the new classes.

        Args:
            weights: the trained weights: those of the new last layer and any others. The rest are the backbone's.
        """
        net = self.network._with_head(classes, None, title or classifier_name(classes), 0, end, self.features)
        net.set_weights(weights, layout="OHWI")
        return net


def with_input_size(classifier: Network, size: tuple[int, int]) -> Network:
    """Return a classifier with its weights for another size of the input.

    A pooling over the whole of its map becomes a global one. Raises UnsupportedError for a network with several inputs,
    and if its layers do not work for this size.
    """
    network = without_integers(classifier)
    if len(network.inputs) != 1 or len(network.input.shape) != 4:
        raise UnsupportedError(
            f"network {network.name!r}: photos need one input (n, height, width, channels)"
        )
    structure = network.to_dict()
    structure["inputs"][0]["shape"][1:3] = list(size)
    for node in structure["nodes"]:
        if node["operation"] != "pooling" or node["attributes"].get("global"):
            continue
        whole, result = (network[name].shape[1:3] for name in (node["inputs"][0], node["name"]))
        window = tuple(node["attributes"][f"kernel_{extent}"] for extent in ("height", "width"))
        if window == tuple(whole) and tuple(result) == (1, 1):
            node["attributes"] = {"kind": node["attributes"]["kind"], "global": True}
    try:
        resized = network.restructured(structure)
    except Error as error:
        raise UnsupportedError(
            f"network {network.name!r} does not work for an input of {size[0]} x {size[1]}: {error}"
        ) from error
    resized.preprocess, resized.labels = network.preprocess, network.labels
    return resized


def as_arrays(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a network as float32 arrays."""
    return {name: np.array(value, np.float32) for name, value in network.weights.items()}
