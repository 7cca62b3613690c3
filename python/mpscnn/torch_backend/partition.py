"""Decide which nodes of a graph become networks, and which PyTorch runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Node
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase

from mpscnn.converters.reading.pytorch.aten.array_ops import VIEWS
from mpscnn.converters.reading.pytorch.aten.constants import is_getitem
from mpscnn.converters.reading.pytorch.aten.nodes import operator_name
from mpscnn.converters.reading.pytorch.aten.operators import PRODUCTS
from mpscnn.runtime.options import CompileOptions
from mpscnn.torch_backend.constants import compute_constants
from mpscnn.torch_backend.subgraph import (
    NetworkSubgraph,
    RefusedNodesError,
    convert_subgraph,
)
from mpscnn.torch_backend.subgraph_order import group_subgraphs
from mpscnn.torch_backend.support import refused_nodes

#: A part without matrix products and convolutions must have this many operators to be worth a call.
MIN_NODES = 8


@dataclass
class Report:
    """The result of partitioning a graph.

    Attributes:
        networks: the parts that became networks.
        left: nodes that PyTorch runs, with the reason.
        nodes: the number of nodes that compute something.
    """

    networks: list[NetworkSubgraph] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    nodes: int = 0

    def __str__(self) -> str:
        inside = sum(part.nodes for part in self.networks)
        lines = [f"{inside} of {self.nodes} operators run in {len(self.networks)} networks of mpscnn"]
        lines += [f"  torch computes {name}: {reason}" for name, reason in self.left.items()]
        return "\n".join(lines)


class _Support(OperatorSupportBase):  # type: ignore[misc]
    def __init__(self, constants: Mapping[Node, Any], refused: Mapping[Node, str]) -> None:
        self._constants = constants
        self._refused = refused

    def is_node_supported(self, _: Mapping[str, torch.nn.Module], node: Node) -> bool:
        source = node.all_input_nodes[0] if is_getitem(node) else node
        return (
            node.op == "call_function"
            and node not in self._constants
            and node not in self._refused
            and source not in self._refused
            and (source is node or source.op == "call_function")
        )


def replace_subgraphs(
    graph: torch.fx.GraphModule, bound: Mapping[str, torch.Tensor], *, title: str, options: CompileOptions
) -> tuple[torch.fx.GraphModule, Report]:
    """Replace parts of a graph of ATen's operators by networks.

    Args:
        graph: the graph, which is changed.
        bound: the values of placeholders that are constants, by name.
        title: the beginning of the networks' names.
        options: the options with which networks are compiled.
    """
    constants = compute_constants(graph, bound)
    computed = [node for node in graph.graph.nodes if node.op == "call_function" and node not in constants]
    refused = refused_nodes(graph.graph, constants)
    report = Report(nodes=sum(not is_getitem(node) for node in computed))
    parts = _parts(graph, constants, refused, title, options)
    while not group_subgraphs(graph.graph, [nodes for _, nodes, _, _ in parts]):
        _, nodes, _, _ = parts.pop()
        refused.update(dict.fromkeys(nodes, "random numbers would be drawn in another order"))
    taken: dict[Node, Node] = {}  # for each replaced node, the node that took its place
    for number, (part, nodes, inputs, outputs) in enumerate(parts):
        report.networks.append(part)
        present = [taken.get(node, node) for node in inputs]
        taken |= _insert(graph, f"mpscnn_{number}", part, nodes, present, outputs)
    report.left = {node.name: reason for node, reason in refused.items()}
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph, report


_Part = tuple[NetworkSubgraph, list[Node], list[Node], list[Node]]


def _parts(
    graph: torch.fx.GraphModule,
    constants: Mapping[Node, Any],
    refused: dict[Node, str],
    title: str,
    options: CompileOptions,
) -> list[_Part]:
    """Propose parts of the graph until all of them can be converted.

    Nodes that cannot be converted are added to `refused`, so each new proposal leaves more nodes to PyTorch.
    """
    order = {node: place for place, node in enumerate(graph.graph.nodes)}
    known: dict[tuple[Node, ...], NetworkSubgraph] = {}
    while True:
        support = _Support(constants, refused)
        proposed = CapabilityBasedPartitioner(graph, support, allows_single_node_partition=True)
        parts: list[_Part] = []
        failed = False
        for number, partition in enumerate(proposed.propose_partitions()):
            nodes = sorted(partition.nodes, key=order.__getitem__)
            if not _is_worth_it(nodes):
                refused.update(dict.fromkeys(nodes, "too few operators for a network"))
                continue
            inputs, outputs = _border(nodes, constants)
            try:
                if (part := known.get(tuple(nodes))) is None:
                    name = title if number == 0 else f"{title}_{number + 1}"
                    part = convert_subgraph(nodes, inputs, outputs, constants, title=name, options=options)
                    known[tuple(nodes)] = part
            except RefusedNodesError as error:
                refused.update(error.reasons)
                failed = True
            else:
                parts.append((part, nodes, inputs, outputs))
        if not failed:
            return parts


def _is_worth_it(nodes: Sequence[Node]) -> bool:
    operators = [operator_name(node) for node in nodes if not is_getitem(node)]
    computing = [operator for operator in operators if operator not in VIEWS]
    return not PRODUCTS.isdisjoint(operators) or len(computing) >= MIN_NODES


def _border(nodes: Sequence[Node], constants: Mapping[Node, Any]) -> tuple[list[Node], list[Node]]:
    """Return the nodes outside of a part that it reads, and the nodes of the part that others read."""
    inside = set(nodes)
    read = dict.fromkeys(source for node in nodes for source in node.all_input_nodes)
    inputs = [node for node in read if node not in inside and node not in constants]
    outputs = [node for node in nodes if any(user not in inside for user in node.users)]
    return inputs, outputs


def _insert(
    graph: torch.fx.GraphModule,
    name: str,
    part: NetworkSubgraph,
    nodes: Sequence[Node],
    inputs: Sequence[Node],
    outputs: Sequence[Node],
) -> dict[Node, Node]:
    """Replace contiguous nodes by a network. Return the node that takes the place of each output."""
    made = {}
    graph.add_submodule(name, part)
    with graph.graph.inserting_before(nodes[0]):
        call = graph.graph.call_module(name, tuple(inputs))
        for place, node in enumerate(outputs):
            taken = graph.graph.call_function(_item, (call, place))
            taken.meta["val"] = node.meta["val"]
            node.replace_all_uses_with(taken)
            made[node] = taken
    for node in reversed(nodes):
        graph.graph.erase_node(node)
    return made


def _item(values: Sequence[Any], place: int) -> Any:
    return values[place]
