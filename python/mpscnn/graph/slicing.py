"""Cut a network into separate layers."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


def shape_of_input(tensor: Tensor) -> list[int]:
    """Return a tensor's shape for the input of another network's structure. Free extents are -1 there."""
    return [-1, *(extent or -1 for extent in tensor.shape[1:])]


def separate_layers(network: Network, results: Sequence[str] | None = None) -> Network:
    """Return a network of the same layers that read inputs named "... given" instead of each other's results.

    Args:
        network: the network with its weights.
        results: the layers to separate. Their results become outputs; other layers stay connected to their readers.
            None: all layers.
    """
    structure = network.to_dict()
    names = [node["name"] for node in structure["nodes"]]
    outputs = names if results is None else list(results)
    apart = {*outputs, *(tensor.name for tensor in network.inputs)}
    read = dict.fromkeys(name for node in structure["nodes"] for name in node["inputs"] if name in apart)
    given = {name: f"{name} given" for name in read}
    structure["inputs"] = [{"name": given[name], "shape": shape_of_input(network[name])} for name in read]
    for node in structure["nodes"]:
        node["inputs"] = [given.get(name, name) for name in node["inputs"]]
    structure["outputs"] = outputs
    return network.restructured(structure)
