"""Support copies and pickles of the core's graphs, and refuse them for objects that cannot be copied."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from mpscnn import _core
from mpscnn.errors import UnsupportedError


class NoCopies:
    """Base class of objects that cannot be copied, since they hold threads, device memory or running work."""

    _instead: ClassVar[str]
    """The end of the error's message: why the object cannot be copied, and what to do instead."""

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Raise TypeError. `copy` and `pickle` call this method."""
        name = type(self).__name__
        article = "an" if name[0] in "AEIOU" else "a"
        raise TypeError(f"{article} {name} cannot be copied or pickled: {self._instead}")


def reduce_graph(graph: _core.Graph) -> tuple[Any, ...]:
    """Return the structure and stored weights of a graph in the form that `pickle` needs."""
    import json

    require_no_functions(graph, "copied or pickled")
    weights = [
        (spec["layer"], spec["role"], *graph.get_weight(spec["layer"], spec["role"]))
        for spec in json.loads(graph.weights())
        if spec["set"]
    ]
    return _restored_graph, (graph.to_json(), weights)


def require_no_functions(graph: _core.Graph, done: str) -> None:
    """Raise UnsupportedError if the network has a layer that a user's function computes.

    Args:
        graph: the network.
        done: the refused action, for the message, such as "copied or pickled".
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
