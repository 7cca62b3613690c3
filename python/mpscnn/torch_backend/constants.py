"""Fold constants in a graph: compute all nodes that depend only on bound parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mpscnn.converters.reading.pytorch.aten.constants import constant_value, is_none


def compute_constants(
    graph: torch.fx.GraphModule, bound: Mapping[str, torch.Tensor]
) -> dict[torch.fx.Node, Any]:
    """Compute the nodes that depend on no input.

    Args:
        graph: a graph of ATen's operators. Nodes that are computed become attributes of the graph.
        bound: the values of placeholders that are constants, by name.

    Returns:
        The computed values by node.
    """
    known: dict[torch.fx.Node, Any] = {}
    with torch.no_grad():
        for node in list(graph.graph.nodes):
            if node.op == "placeholder" and node.name in bound:
                known[node] = bound[node.name].detach()
            elif node.op == "get_attr":
                known[node] = _attribute(graph, str(node.target))
            elif node.op == "call_function":
                value = constant_value(node, known, node.target)
                if not is_none(value):
                    known[node] = value
    for number, (node, value) in enumerate(list(known.items())):
        used = any(user not in known and not _shares(user) for user in node.users)
        if node.op == "call_function" and isinstance(value, torch.Tensor) and used:
            known[_stored(graph, node, f"_constant_{number}", value)] = value
    return known


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _stored(
    graph: torch.fx.GraphModule, node: torch.fx.Node, name: str, value: torch.Tensor
) -> torch.fx.Node:
    """Replace a node by an attribute of the graph with its value, where that is only read."""
    graph.register_buffer(name, value, persistent=False)
    with graph.graph.inserting_before(node):
        stored = graph.graph.get_attr(name)
    stored.meta["val"] = node.meta.get("val")
    node.replace_all_uses_with(stored, delete_user_cb=lambda user: not _shares(user))
    return stored


def _shares(user: torch.fx.Node) -> bool:
    """Return True if the caller may get a node's operand itself, or a view of it.

    The caller may write into a result, so PyTorch has to make such a constant again for each call.
    """
    schema = getattr(user.target, "_schema", None)
    return user.op == "output" or (
        schema is not None and any(result.alias_info is not None for result in schema.returns)
    )
