"""Copies and pickles: of graphs, which the core keeps, and of what has none."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from mpscnn import _core

__all__ = ["NoCopies", "reduce_graph"]


class NoCopies:
    """Base of what holds threads, memory of a device or work under way."""

    _instead: ClassVar[str]
    """What can be copied or pickled in its place."""

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """What `copy` and `pickle` ask for."""
        name = type(self).__name__
        article = "an" if name[0] in "AEIOU" else "a"
        raise TypeError(f"{article} {name} cannot be copied or pickled: {self._instead}")


def reduce_graph(graph: _core.Graph) -> tuple[Any, ...]:
    """A graph as `pickle` takes it: its structure, and its weights as they are stored."""
    import json

    weights = [
        (spec["layer"], spec["role"], *graph.get_weight(spec["layer"], spec["role"]))
        for spec in json.loads(graph.weights())
        if spec["set"]
    ]
    return _restored_graph, (graph.to_json(), weights)


def _restored_graph(structure: str, weights: list[tuple[Any, ...]]) -> _core.Graph:
    graph = _core.Graph.from_json(structure)
    for stored in weights:
        graph.set_weight(*stored)
    return graph
