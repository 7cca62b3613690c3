"""Find the layers that the outputs of a network need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def needed_nodes(nodes: Sequence[Mapping[str, Any]], outputs: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the layers that compute the outputs, in the given order.

    Args:
        nodes: all layers in the form of `Network.to_dict`, each after those that it reads.
        outputs: the names of the outputs.
    """
    needed = set(outputs)
    found = []
    for node in reversed(nodes):
        if node["name"] in needed:
            needed.update(node["inputs"])
            found.append(node)
    return found[::-1]
