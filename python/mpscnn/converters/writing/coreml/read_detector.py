"""Leave out the layers that reading a Core ML pipeline added to a detector's network.

The reader adds two parts at the end (`mpscnn.converters.reading.coreml.pipeline`): boxes become edges, and all scores
of a box but the best become 0. The written pipeline has boxes by their centres, and Core ML itself counts the best
score only.
Without these layers a detector does not grow when it is read and written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn.converters.reading.coreml.pipeline import EDGES
from mpscnn.graph.network import Network

_MOVES = ("reshape", "transpose")


def remove_added_layers(network: Network, boxes: int, scores: int) -> tuple[Network, bool]:
    """Return the network without the layers that reading added, and whether its boxes are given by their centres.

    Args:
        network: a detector's network.
        boxes, scores: the positions of boxes and scores among its outputs.
    """
    structure = network.to_dict()
    nodes = {node["name"]: node for node in structure["nodes"]}
    outputs = structure["outputs"]
    last = _before_reshapes(nodes, outputs[boxes])
    centres = last is not None and _makes_edges(network, last)
    left_out = {} if not centres or last is None else {last["name"]: last["inputs"][0]}
    last = _before_reshapes(nodes, outputs[scores])
    if last is not None and _keeps_best_scores(nodes, last):
        left_out[last["name"]] = last["inputs"][0]
    if not left_out:
        return network, False
    for node in structure["nodes"]:
        node["inputs"] = [left_out.get(name, name) for name in node["inputs"]]
    structure["outputs"] = [left_out.get(name, name) for name in outputs]
    return network.restructured(structure).subgraph(structure["outputs"]), centres


def _before_reshapes(nodes: Mapping[str, Any], name: str) -> Any | None:
    """Return the node that computes a value, before any reshapes and transpositions. None: it is an input."""
    while name in nodes and nodes[name]["operation"] in _MOVES:
        name = nodes[name]["inputs"][0]
    return nodes.get(name)


def _makes_edges(network: Network, node: Mapping[str, Any]) -> bool:
    """Return True for a layer that computes the edges of boxes from their centres and sizes."""
    if node["operation"] not in ("convolution", "fully_connected") or "activation" in node:
        return False
    weights = network.weights
    weight = weights.get(f"{node['name']}.weight")
    if f"{node['name']}.bias" in weights or weight is None or weight.size != EDGES.size:
        return False
    return bool(weight.shape[0] == len(EDGES) and np.array_equal(weight.reshape(EDGES.shape), EDGES.T))


def _keeps_best_scores(nodes: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Return True for a product of scores and a mask that is 1 for the best score of a box and 0 for the others."""
    if node["operation"] != "multiply" or "activation" in node:
        return False
    scores, mask = node["inputs"]
    # The mask is relu(1 - |k - best|), where k counts the classes.
    for kinds in (("neuron",), ("neuron",), ("subtract",), ("argument",)):
        found = _before_reshapes(nodes, mask)
        if found is None or found["operation"] not in kinds:
            return False
        mask = found["inputs"][0]
    read, given = (_before_reshapes(nodes, name) for name in (mask, scores))
    return found is not None and found["attributes"]["kind"] == "max" and read is not None and read is given
