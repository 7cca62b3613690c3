"""Find the last layer of a classifier, and add one for other classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn._private.arguments import is_sequence, name_list, whole_number
from mpscnn._private.literals import ScoresName
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor
from mpscnn.graph.structure import NetworkStructure

_BEHIND_SCORES = ("softmax", "reshape", "log_softmax", "dropout")
_SCORES = ("fully_connected", "convolution")


def feature_layer(network: NetworkStructure) -> str:
    """Return the layer that a classifier's last layer reads.

    Raises UnsupportedError if the network is not a classifier of images whose last layer can be replaced.
    """
    nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in network.to_dict()["nodes"]}
    if len(network.inputs) == 1 and len(network.outputs) == 1 and len(network.input.shape) == 4:
        name = network.outputs[0].name
        while (node := nodes.get(name)) and (
            node["operation"] in _BEHIND_SCORES or node["attributes"].get("kind") == "sigmoid"
        ):
            name = node["inputs"][0]
        if node and node["operation"] in _SCORES and all(e == 1 for e in network[name].shape[1:-1]):
            before = str(node["inputs"][0])
            if before in nodes and None not in network[before].shape[1:]:
                return before
    raise UnsupportedError(
        f"network {network.name!r} is not a classifier whose last layer can be replaced: expected are an image of a "
        "fixed size as input, and a fully connected layer, perhaps with a softmax, as the end"
    )


def map_layer(network: NetworkStructure) -> str:
    """Return the layer before the pooling of `feature_layer`: its map knows places. Without a pooling it is that layer.

    Raises UnsupportedError as `feature_layer`.
    """
    nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in network.to_dict()["nodes"]}
    name = features = feature_layer(network)
    while (node := nodes.get(name)) and node["operation"] in ("reshape", "dropout", "pooling", "reduction"):
        name = str(node["inputs"][0])
        if len(network[name].shape) == 4 and max(extent or 0 for extent in network[name].shape[1:3]) > 1:
            return name
    return features


def class_layer(network: NetworkStructure) -> str:
    """Return a name for the new last layer that no layer has."""
    structure = network.to_dict()
    used = {entry["name"] for entry in (*structure["inputs"], *structure["nodes"])}
    name = "classes"
    while {name, f"{name}_softmax", f"{name}_sigmoid"} & used:
        name += "_"
    return name


def classifier_name(classes: int) -> str:
    """Return the name of a network whose head was replaced. The old name may state the old classes."""
    return f"classifier_of_{classes}_classes"


def class_list(classes: int | Sequence[str]) -> tuple[int, list[str] | None]:
    """Return the number of classes, and their names if they are given.

    Raises ParameterError for fewer than two classes, or names that are not different texts.
    """
    if not is_sequence(classes):
        return whole_number("classes", classes, minimum=2, otherwise="names"), None
    names = name_list("classes", classes)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ParameterError(f"classes must be at least two different names, got {names}")
    return len(names), names


def add_classes(
    network: LayerMaker, features: Tensor, classes: int, name: str, end: ScoresName = "softmax"
) -> Tensor:
    """Add a dense layer and the function in which the network ends, and return its result. "as is": no function."""
    scores = network.layer("fully_connected", [features], {"outputs": classes}, name=name)
    if end == "as is":
        return scores
    if end == "sigmoid":
        return network.layer("neuron", [scores], {"kind": "sigmoid"}, name=f"{name}_sigmoid")
    return network.layer("softmax", [scores], {}, name=f"{name}_softmax")
