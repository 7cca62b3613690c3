"""Rename networks and layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings


def copy_with_name(network: Network, name: str) -> Network:
    """Return a copy of the network with another name and without weights."""
    named = network.restructured(network.to_dict() | {"name": name}, {})
    copy_settings(network, named)
    return named


def rename_layers(structure: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a network's structure with other names for some of its layers."""
    nodes = [
        node
        | {
            "name": names.get(node["name"], node["name"]),
            "inputs": [names.get(name, name) for name in node["inputs"]],
        }
        for node in structure["nodes"]
    ]
    return {**structure, "nodes": nodes, "outputs": [names.get(name, name) for name in structure["outputs"]]}
