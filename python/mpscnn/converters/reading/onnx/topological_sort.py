"""Sort the nodes of an ONNX file topologically, because some writers list them in another order."""

from __future__ import annotations

import heapq
from collections.abc import Sequence, Set

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.errors import WeightsError

_MAX_SHOWN = 5


def sort_nodes(nodes: Sequence[Node], given: Set[str], origin: str) -> list[Node]:
    """Return the nodes, each after the nodes that it depends on, and otherwise in the given order.

    Args:
        nodes: the nodes in any order.
        given: the names of tensors that no node computes. The empty name stands for an operand that is left out.
        origin: the name of the file, for messages.

    Raises:
        WeightsError: a value is computed twice or by no node, or a node needs its own result.
    """
    makers = _makers(nodes, given, origin)
    users: list[list[int]] = [[] for _ in nodes]
    missing = []  # for each node: the number of other nodes that it still waits for
    for place, node in enumerate(nodes):
        before = {makers[name] for name in node.inputs if name not in given}
        for maker in before:
            users[maker].append(place)
        missing.append(len(before))
    ready = [place for place, count in enumerate(missing) if count == 0]
    ordered = []
    while ready:
        place = heapq.heappop(ready)
        ordered.append(nodes[place])
        for user in users[place]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, user)
    if len(ordered) < len(nodes):
        raise WeightsError(f"damaged: {origin}: {_cycle(nodes, makers, missing)}")
    return ordered


def _makers(nodes: Sequence[Node], given: Set[str], origin: str) -> dict[str, int]:
    """Return, for each tensor, the position of the node that computes it."""
    makers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in given or name in makers:
                raise WeightsError(f"damaged: {origin}: {quote_name(name)} is computed more than once")
            makers[name] = place
    for node in nodes:
        for name in node.inputs:
            if name not in given and name not in makers:
                raise WeightsError(
                    f"damaged: {origin}: node {quote_name(node.name)} needs {quote_name(name)}, which no node computes"
                )
    return makers


def _cycle(nodes: Sequence[Node], makers: dict[str, int], missing: Sequence[int]) -> str:
    """Return the text of a dependency cycle for a message.

    Each waiting node reads the result of another waiting node. So following these nodes always ends in a cycle.
    """
    place = next(place for place, count in enumerate(missing) if count)
    passed: dict[int, None] = {}
    while place not in passed:
        passed[place] = None
        makers_here = (makers[name] for name in nodes[place].inputs if name in makers)
        place = next(maker for maker in makers_here if missing[maker])
    circle = list(passed)[list(passed).index(place) :]
    names = " -> ".join(quote_name(nodes[one].name) for one in circle[:_MAX_SHOWN])
    more = f" -> and {len(circle) - _MAX_SHOWN} more" if len(circle) > _MAX_SHOWN else ""
    return f"node {quote_name(nodes[place].name)} needs its own result, by way of {names}{more}"
