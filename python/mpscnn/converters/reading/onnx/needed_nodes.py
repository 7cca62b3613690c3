"""Find the nodes of an ONNX graph that tensors depend on, in messages of the package onnx and of our own reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

StatesGraph = Callable[[Any], bool]
"""A function that returns True if an attribute states one graph, in its field `g`."""


def needed_places(nodes: Sequence[Any], wanted: Sequence[str], states_graph: StatesGraph) -> list[int]:
    """Return the places of the nodes that tensors depend on, in the order of the file."""
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    waiting, needed = list(wanted), set[int]()
    while waiting:
        place = makers.get(waiting.pop())
        if place is not None and place not in needed:
            needed.add(place)
            waiting.extend(names_read(nodes[place], states_graph))
    return sorted(needed)


def names_read(node: Any, states_graph: StatesGraph) -> Iterator[str]:
    """Yield the names of the tensors that a node reads, also in the graphs that it runs, such as branches."""
    yield from node.input
    for graph in inner_graphs(node, states_graph):
        yield from (info.name for info in graph.output)
        for inner in graph.node:
            yield from names_read(inner, states_graph)


def inner_graphs(node: Any, states_graph: StatesGraph) -> Iterator[Any]:
    """Yield the graphs that a node runs."""
    for attribute in node.attribute:
        if states_graph(attribute):
            yield attribute.g
        yield from attribute.graphs
