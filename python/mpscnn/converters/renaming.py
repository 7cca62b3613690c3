"""A built network under the name of the file that its weights come from."""

from __future__ import annotations

from mpscnn.graph.network import Network


def renamed(network: Network, name: str) -> Network:
    """Return the same network, whose weights are not set yet, with another name."""
    named = network.restructured(network.to_dict() | {"name": name}, {})
    named.preprocess, named.detection = network.preprocess, network.detection
    named.labels = network.labels
    return named
