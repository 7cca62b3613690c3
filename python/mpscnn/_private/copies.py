"""Support copies and pickles of the core's graphs, and refuse them for objects that cannot be copied."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from mpscnn import _core
from mpscnn.errors import UnsupportedError

__all__ = ["NoCopies", "reduce_graph", "require_no_functions"]


class NoCopies:
    """Base of what holds threads, memory of a device or work under way."""

    _instead: ClassVar[str]
    """The object that can be copied or pickled in its place."""

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """The methods that `copy` and `pickle` call."""
        name = type(self).__name__
        article = "an" if name[0] in "AEIOU" else "a"
        raise TypeError(f"{article} {name} cannot be copied or pickled: {self._instead}")


def reduce_graph(graph: _core.Graph) -> tuple[Any, ...]:
    """Return a graph for `pickle`: its structure and its stored weights."""
    import json

    require_no_functions(graph, "copied or pickled")
    weights = [
        (spec["layer"], spec["role"], *graph.get_weight(spec["layer"], spec["role"]))
        for spec in json.loads(graph.weights())
        if spec["set"]
    ]
    return _restored_graph, (graph.to_json(), weights)


def require_no_functions(graph: _core.Graph, done: str) -> None:
    """Raise UnsupportedError for a layer that a function of the program computes.

    Args:
        graph: the network.
        done: what cannot be done with such a layer.
    """
    import json

    for node in json.loads(graph.to_json())["nodes"]:
        if node["operation"] == "custom":
            raise UnsupportedError(
                f"layer {node['name']!r} is a function of this program and cannot be {done}: "
                "build the network again where it is needed"
            )


def _restored_graph(structure: str, weights: list[tuple[Any, ...]]) -> _core.Graph:
    graph = _core.Graph.from_json(structure)
    for stored in weights:
        graph.set_weight(*stored)
    return graph
