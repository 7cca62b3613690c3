"""Give networks of the package the limits of a converted file's integers."""

from __future__ import annotations

import mpscnn


def with_limits_of(network: mpscnn.Network, built: mpscnn.Network) -> mpscnn.Network:
    """Return the package's network with the limits of a converted network, whose layers have the same names."""
    activations = {
        node["name"]: node["activation"] for node in network.to_dict()["nodes"] if "activation" in node
    }
    structure = built.to_dict()
    for node in structure["nodes"]:
        if node["name"] in activations:
            node["activation"] = activations[node["name"]]
    return built.restructured(structure)
