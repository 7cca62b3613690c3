"""Fold constants in a graph: compute all nodes that depend only on bound parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


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
            elif node.op == "call_function" and _is_constant(node, known):
                arguments = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
                known[node] = node.target(*arguments[0], **arguments[1])
            elif node.op == "call_function" and _reads_a_shape(node):
                (shape_of,) = node.all_input_nodes
                known[node] = node.target(_empty(shape_of), *node.args[1:], **node.kwargs)
    for number, (node, value) in enumerate(list(known.items())):
        used = any(user not in known for user in node.users)
        if node.op == "call_function" and isinstance(value, torch.Tensor) and used:
            known[_stored(graph, node, f"_constant_{number}", value)] = value
    return known


# Operators that read only the shape of a tensor.
_OF_SHAPES = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})


def _is_constant(node: torch.fx.Node, known: Mapping[torch.fx.Node, Any]) -> bool:
    """Return True if a node has the same value in each run."""
    if not all(source in known for source in node.all_input_nodes):
        return False
    tags = getattr(node.target, "tags", ())
    schema = getattr(node.target, "_schema", None)
    is_random = torch.Tag.nondeterministic_seeded in tags
    has_effects = schema is not None and schema.is_mutable
    return (schema is not None and not is_random and not has_effects) or _is_getitem(node)


def _reads_a_shape(node: torch.fx.Node) -> bool:
    if getattr(node.target, "_opname", "") not in _OF_SHAPES or len(node.all_input_nodes) != 1:
        return False
    value = node.all_input_nodes[0].meta.get("val")
    return isinstance(value, torch.Tensor) and all(isinstance(extent, int) for extent in value.shape)


def _empty(node: torch.fx.Node) -> torch.Tensor:
    value = node.meta["val"]
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)


def _is_getitem(node: torch.fx.Node) -> bool:
    return getattr(node.target, "__name__", "") == "getitem"


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _stored(
    graph: torch.fx.GraphModule, node: torch.fx.Node, name: str, value: torch.Tensor
) -> torch.fx.Node:
    """Replace a node by an attribute of the graph with its value."""
    graph.register_buffer(name, value, persistent=False)
    with graph.graph.inserting_before(node):
        stored = graph.graph.get_attr(name)
    stored.meta["val"] = node.meta.get("val")
    node.replace_all_uses_with(stored)
    return stored
