"""Compute the nodes of a PyTorch graph that have the same value in each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx import Node

#: Operators that read only the shape of a tensor.
_OF_SHAPES = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})
_NONE = object()


def constant_value(node: Node, known: Mapping[Node, Any], target: Callable[..., Any]) -> Any:
    """Return the value of a node that is the same in each run. `is_none` is true for what other nodes give.

    Args:
        node: a call of an operator.
        known: the values of nodes that are constant.
        target: the operator, which writes into none of its operands.
    """
    if _is_constant(node, known, target):
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
        return target(*args, **kwargs)
    if _reads_a_shape(node, known):
        args, kwargs = torch.fx.map_arg((node.args[1:], node.kwargs), known.__getitem__)
        return target(_empty(node.all_input_nodes[0]), *args, **kwargs)
    return _NONE


def is_none(value: Any) -> bool:
    """Return True if `constant_value` found no constant."""
    return value is _NONE


def is_getitem(node: Node) -> bool:
    """Return True if a node takes one of an operator's several results."""
    return node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"


def _is_constant(node: Node, known: Mapping[Node, Any], target: Callable[..., Any]) -> bool:
    if not all(source in known for source in node.all_input_nodes):
        return False
    schema = getattr(target, "_schema", None)
    is_random = torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())
    has_effects = schema is not None and schema.is_mutable
    return (schema is not None and not is_random and not has_effects) or is_getitem(node)


def _reads_a_shape(node: Node, known: Mapping[Node, Any]) -> bool:
    sources = node.all_input_nodes
    if getattr(node.target, "_opname", "") not in _OF_SHAPES or not sources:
        return False
    value = sources[0].meta.get("val")
    is_fixed = isinstance(value, torch.Tensor) and all(isinstance(extent, int) for extent in value.shape)
    return is_fixed and all(source in known for source in sources[1:])


def _empty(node: Node) -> torch.Tensor:
    value = node.meta["val"]
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
