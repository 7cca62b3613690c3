"""Sort a graph so that the nodes of each part are contiguous."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch.fx import Graph, Node


def group_subgraphs(graph: Graph, parts: Sequence[Sequence[Node]]) -> bool:
    """Sort a graph so that the nodes of each part are contiguous. Apart from that, the order is kept.

    Operators that draw random numbers keep their order among themselves. An operator that writes into a tensor stays
    after all nodes before it, because they may read the tensor.

    Returns:
        True if there is such an order. Otherwise the graph is unchanged.
    """
    nodes = list(graph.nodes)
    group = {node: number for number, node in enumerate(nodes)}
    members = {number: [node] for number, node in enumerate(nodes)}
    for part in parts:
        first = group[part[0]]
        members[first] = list(part)
        for node in part[1:]:
            del members[group[node]]
            group[node] = first
    order = _sorted_groups(_sources(nodes, group))
    if len(order) < len(members):
        return False
    sorted_nodes = [node for number in order for node in members[number]]
    for before, node in pairwise(sorted_nodes):
        before.append(node)
    return True


def _sources(nodes: Sequence[Node], group: dict[Node, int]) -> dict[int, set[int]]:
    """Return, for each group, the groups that must come before it."""
    sources: dict[int, set[int]] = defaultdict(set)
    last_random: Node | None = None
    last_written: Node | None = None
    for number, node in enumerate(nodes):
        follows = set(node.all_input_nodes)
        if _writes(node) or node.op == "output":
            follows.update(nodes[:number])
            last_written = node
        elif last_written is not None:
            follows.add(last_written)
        if _is_random(node):
            follows.update([] if last_random is None else [last_random])
            last_random = node
        sources[group[node]].update(group[one] for one in follows)
    return {number: before - {number} for number, before in sources.items()}


def _sorted_groups(sources: dict[int, set[int]]) -> list[int]:
    """Sort groups topologically. Groups in a cycle are left out."""
    readers: dict[int, list[int]] = defaultdict(list)
    for number, before in sources.items():
        for one in before:
            readers[one].append(number)
    waiting = {number: len(before) for number, before in sources.items()}
    ready = [number for number, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers[order[-1]]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    return order


def _writes(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _is_random(node: Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
