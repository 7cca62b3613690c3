"""Rename networks and layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mpscnn._private.arguments import whole_number_in
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


def name_without_number(name: str, known: Collection[str]) -> str | None:
    """Return a layer's name without its number, if all smaller numbers are known; None for other names.

    Such a number does not belong to the file's name. A reader made it for several layers of one name: "act", "act_2".
    """
    stem, _, text = name.rpartition("_")
    number = whole_number_in(text)
    if number is None or not 2 <= number <= len(known) + 1:
        return None
    return stem if {stem, *(f"{stem}_{place}" for place in range(2, number))} <= set(known) else None
