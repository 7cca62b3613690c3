"""Cut a network into separate layers."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

#: The largest number of inputs of a network (cpp/engine/graph/graph.cpp).
_MAX_INPUTS = 1_000


def shape_of_input(tensor: Tensor) -> list[int]:
    """Return a tensor's shape for the input of another network's structure. Free extents are -1 there."""
    return [-1, *(extent or -1 for extent in tensor.shape[1:])]


def separate_layers(network: Network, results: Sequence[str] | None = None) -> Network:
    """Return a network of the same layers that read inputs named "... given" instead of each other's results.

    Args:
        network: the network with its weights.
        results: the layers to separate. Their results become outputs; other layers stay connected to their readers.
            None: all layers.

    Raises the error of `read_results`.
    """
    structure = network.to_dict()
    outputs = [node["name"] for node in structure["nodes"]] if results is None else list(results)
    read = read_results(network, outputs)
    given = {name: f"{name} given" for name in read}
    structure["inputs"] = [{"name": given[name], "shape": shape_of_input(network[name])} for name in read]
    for node in structure["nodes"]:
        node["inputs"] = [given.get(name, name) for name in node["inputs"]]
    structure["outputs"] = outputs
    return network.restructured(structure)


def read_results(network: Network, results: Sequence[str]) -> list[str]:
    """Return the inputs, and those of the results, that layers read.

    Raises UnsupportedError if they are more than the inputs of a network that computes each layer separately.
    """
    apart = {*results, *(tensor.name for tensor in network.inputs)}
    nodes = network.to_dict()["nodes"]
    read = dict.fromkeys(name for node in nodes for name in node["inputs"] if name in apart)
    if len(read) > _MAX_INPUTS:
        raise UnsupportedError(
            f"network {network.name!r}: its layers read {len(read):,} results, and the errors of layers can be "
            f"measured for at most {_MAX_INPUTS:,}; give a part of the network (Network.subgraph)"
        )
    return list(read)
