"""Rename a network that was built from code, for example to the name of its weights' file."""

from __future__ import annotations

from mpscnn.graph.network import Network


def renamed(network: Network, name: str) -> Network:
    """Return a copy of the network with another name and without weights."""
    named = network.restructured(network.to_dict() | {"name": name}, {})
    named.preprocess, named.detection = network.preprocess, network.detection
    named.labels = network.labels
    return named
