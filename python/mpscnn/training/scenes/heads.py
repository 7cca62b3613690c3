"""Find and replace the last layers of detectors and segmenters, which predict classes and boxes."""

from __future__ import annotations

from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings

Node = dict[str, Any]
_PASSING = ("concatenation", "reshape", "resize", "softmax", "add", "neuron")


def last_convolutions(network: Network, output: str) -> list[str]:
    """Return the convolutions from which an output is joined, resized or added up.

    Raises UnsupportedError if another layer computes the output.
    """
    nodes: dict[str, Node] = {node["name"]: node for node in network.to_dict()["nodes"]}
    found: list[str] = []
    waiting = [output]
    while waiting:
        node = nodes.get(waiting.pop())
        if node is None or node["operation"] not in (*_PASSING, "convolution"):
            what = "an input" if node is None else f"a layer {node['operation']}"
            raise UnsupportedError(
                f"network {network.name!r}: {what} computes the output {output!r}; expected are convolutions"
            )
        if node["operation"] == "convolution":
            found.append(node["name"])
        else:
            waiting += reversed(node["inputs"])
    return found


def with_columns(network: Network, output: str, columns: int) -> Network:
    """Return a copy of a network whose output has another number of columns. The changed layers have no weights.

    Raises UnsupportedError as `last_convolutions`.
    """
    before = network[output].shape[-1] or 1
    convolutions = last_convolutions(network, output)
    structure = network.to_dict()
    nodes: dict[str, Node] = {node["name"]: node for node in structure["nodes"]}
    waiting = [output]
    while waiting:
        node = nodes[waiting.pop()]
        if node["operation"] == "convolution":
            node["attributes"]["output_channels"] = node["attributes"]["output_channels"] // before * columns
            continue
        if node["operation"] == "reshape":
            node["attributes"]["shape"][-1] = columns
        waiting += node["inputs"]
    kept = {name: name for name in nodes if name not in convolutions}
    result = network.restructured(structure, kept)
    copy_settings(network, result)
    result.labels = None
    return result
