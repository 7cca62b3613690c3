"""Find the nodes of a graph that cannot be in a network, by their operators, types and memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.fx import Node
from torch.multiprocessing.reductions import StorageWeakRef

from mpscnn.converters.reading.pytorch.aten.arithmetic import COMPARISONS
from mpscnn.converters.reading.pytorch.aten.constants import is_getitem
from mpscnn.converters.reading.pytorch.aten.indexing import INDEXING
from mpscnn.converters.reading.pytorch.aten.nodes import fake_tensors, operator_name
from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS, PRODUCTS
from mpscnn.torch_backend.subgraph import BFLOAT16

_FLOATS = (torch.float32, BFLOAT16)


def refused_nodes(graph: torch.fx.Graph, constants: Mapping[Node, Any]) -> dict[Node, str]:
    """Return the nodes that PyTorch has to run, with the reason for each."""
    computed = [node for node in graph.nodes if node.op == "call_function" and node not in constants]
    refused = {
        node: f"{operator_name(node) or node.target}: {reason}"
        for node in computed
        if (reason := _reason_against(node, constants)) is not None
    }
    for node in computed:
        if _is_rounding(node):
            refused.setdefault(node, f"{operator_name(node)}: rounds float32 numbers to bfloat16")
    for node in _views_of_results(graph, computed):
        refused.setdefault(node, f"{operator_name(node)}: its memory is that of another result")
    return refused


def _reason_against(node: Node, constants: Mapping[Node, Any]) -> str | None:
    """Return the reason why a node cannot be in a network, by its operator and types; None if it may be."""
    if is_getitem(node):
        return None
    operator = operator_name(node)
    if operator not in OPERATORS:
        return "mpscnn has no such operator"
    tensors = [value for source in node.all_input_nodes for value in fake_tensors(source)]
    results = fake_tensors(node)
    if not results:
        return "its result is not a tensor"
    for value in (*tensors, *results[:1]):
        if value.device.type != "cpu":
            return f"a tensor on {value.device}"
    if results[0].dtype not in (*_FLOATS, torch.bool):
        return f"a result of {results[0].dtype}"
    if operator in INDEXING and any(value.dtype == torch.int64 for value in _computed(node, constants)):
        return "places that are computed"
    read = _FLOATS if operator in COMPARISONS else (torch.bool,)
    for value in tensors:
        # If the result is a float, PyTorch converts operands of other types to it, as a network does with its inputs.
        if value.is_complex() or (results[0].dtype == torch.bool and value.dtype not in read):
            return f"an operand of {value.dtype}"
    if any(isinstance(extent, torch.SymInt) for value in (*tensors, *results[:1]) for extent in value.shape):
        return "extents that are not known"
    if 0 in (extent for value in (*tensors, *results[:1]) for extent in value.shape):
        return "tensors without elements"
    return None


def _computed(node: Node, constants: Mapping[Node, Any]) -> list[torch.Tensor]:
    """Return the fake tensors of the operands that are not constant."""
    return [
        value for source in node.all_input_nodes if source not in constants for value in fake_tensors(source)
    ]


def _is_rounding(node: Node) -> bool:
    """Return True if a node rounds to bfloat16, and the result becomes float32 again without a product in between.

    A network in bfloat16 itself rounds the operands of products. It computes other operators in float32, so there the
    rounding would be missing.
    """
    if operator_name(node) != "_to_copy.default" or fake_tensors(node)[0].dtype != BFLOAT16:
        return False
    seen, waiting = {node}, [node]
    while waiting:
        for user in waiting.pop().users:
            if user in seen or user.op != "call_function" or operator_name(user) in PRODUCTS:
                continue
            if any(value.dtype == torch.float32 for value in fake_tensors(user)):
                return True
            seen.add(user)
            waiting.append(user)
    return False


def _views_of_results(graph: torch.fx.Graph, computed: Iterable[Node]) -> list[Node]:
    """Return views that would make two results of the graph share memory, because a caller may write into one."""
    (end,) = graph.find_nodes(op="output")
    sharing: dict[StorageWeakRef, set[Node]] = defaultdict(set)
    for node in end.all_input_nodes:
        for storage in _storages(node):
            sharing[storage].add(node)
    shared = {storage for storage, nodes in sharing.items() if len(nodes) > 1}
    return [
        node
        for node in computed
        for storage in _storages(node)
        if storage in shared and any(storage in _storages(source) for source in node.all_input_nodes)
    ]


def _storages(node: Node) -> list[StorageWeakRef]:
    return [StorageWeakRef(value.untyped_storage()) for value in fake_tensors(node)]
