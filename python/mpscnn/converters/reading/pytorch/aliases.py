"""Find out whether operators of an exported program that write into tensors can be read as functions.

An operator such as `relu_` replaces the elements of a tensor. If no other tensor that shares its memory is read later,
this is the same as a function whose result takes the tensor's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.fx import Node

# Operators that may return their operand itself, which their schema does not say.
_RETURN_OPERANDS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})


def same_tensors(graph: torch.fx.Graph) -> dict[Node, list[Node]] | None:
    """Return, for each operator that writes into a tensor, the earlier nodes that are this same tensor.

    Returns None if another view of the tensor's memory is read later. Then the operators must be replaced first.
    """
    order = {node: place for place, node in enumerate(graph.nodes)}
    last_use = {node: max((order[user] for user in node.users), default=-1) for node in graph.nodes}
    same: dict[Node, list[Node]] = {}
    found: dict[Node, list[Node]] = {}
    for node, operands, shared in _writes(graph):
        if operands != [*node.args[:1]]:
            return None
        (written,) = operands
        alike = same.setdefault(written, [written])
        others = [one for one in shared if one is not node and one not in alike]
        if any(last_use[one] > order[node] for one in others):
            return None
        found[node] = list(alike)
        alike.append(node)
        same[node] = alike
    return found


def written_nodes(graph: torch.fx.Graph) -> set[Node]:
    """Return the nodes whose memory an operator of the graph writes into, such as placeholders of buffers."""
    return {one for _, _, shared in _writes(graph) for one in shared}


def _writes(graph: torch.fx.Graph) -> Iterator[tuple[Node, list[Node], list[Node]]]:
    """Yield each operator that writes into tensors, these, and the nodes that share their memory until then."""
    memory: dict[Node, list[Node]] = {}  # the nodes that share memory with a node, in one list
    for node in graph.nodes:
        own = memory.setdefault(node, [node])
        if node.op != "call_function" or _frees(node):
            continue
        written = _written_operands(node)
        for source in written or _viewed_operands(node):
            if memory[source] is not own:
                own += memory[source]
                for one in memory[source]:
                    memory[one] = own
        if written:
            yield node, written, own


def blocks_write(program: Any) -> bool:
    """Return True if an operator in a block of the module's code writes into a tensor."""
    return any(
        function_of(node) is not node.target and not _frees(node)
        for block in program.graph_module.modules()
        if isinstance(block, torch.fx.GraphModule) and block is not program.graph_module
        for node in block.graph.nodes
        if node.op == "call_function"
    )


def function_of(node: Node) -> Callable[..., Any] | None:
    """Return the operator that computes the result of an operator that writes into its first operand.

    Returns the node's own operator if it writes into no operand, and None if there is no such operator.
    """
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.is_mutable:
        return target  # type: ignore[no-any-return]
    name, overload = target._opname, target._overloadname
    if not name.endswith("_") or name.endswith("__"):
        return None
    packet = getattr(torch.ops.aten, name[:-1], None)
    return getattr(packet, overload, None) or getattr(packet, "default", None)


def _frees(node: Node) -> bool:
    """Return True if an operator frees the memory of a tensor, as reversible networks do. No later node reads it."""
    return node.target is torch.ops.aten.set_.default


def _written_operands(node: Node) -> list[Node]:
    """Return the operands that an operator writes into, by its schema."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    found: list[Node] = []
    for place, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            torch.fx.map_arg(given, found.append)
    return found


def _viewed_operands(node: Node) -> list[Node]:
    """Return the operands whose memory a node's result may share."""
    schema = getattr(node.target, "_schema", None)
    is_view = schema is None or any(result.alias_info is not None for result in schema.returns)
    if is_view or getattr(node.target, "_opname", "") in _RETURN_OPERANDS:
        return list(node.all_input_nodes)
    return []
