"""Decompose operators that mpscnn lacks into operators that the table has, by PyTorch's own definitions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from mpscnn.converters.reading.pytorch.aten.nodes import fake_tensors, name_of
from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS


@functools.cache
def _definitions() -> dict[Any, Callable[..., Any]]:
    """Return PyTorch's definitions of operators that the table lacks."""
    from torch._decomp import core_aten_decompositions

    table: dict[Any, Callable[..., Any]] = dict(core_aten_decompositions().items())
    return {
        operator: definition
        for operator, definition in table.items()
        if not isinstance(operator, torch._ops.OpOverload) or name_of(operator) not in OPERATORS
    }


def names_axis_of_number(node: Node, target: torch._ops.OpOverload) -> bool:
    """Return True if an operator along an axis gets a tensor without axes. PyTorch takes it for one of shape (1)."""
    operands = [value for source in node.all_input_nodes[:1] for value in fake_tensors(source)]
    given = dict(zip((one.name for one in target._schema.arguments), node.args, strict=False)) | node.kwargs
    has_axis = any(
        given.get(one.name, one.default_value) not in (None, [], ())
        for one in target._schema.arguments
        if one.name in ("dim", "dims")
    )
    return has_axis and len(operands) == 1 and operands[0].dim() == 0


def decomposed(
    node: Node, target: torch._ops.OpOverload, *, adds_axis: bool = False
) -> torch.fx.GraphModule | None:
    """Return the graph of operators that an operator is made of.

    Returns None if PyTorch does not define it by operators of the table.

    Args:
        node: the call of the operator. The graph's placeholders are its operands that are tensors, in order.
        target: the operator, which writes into none of its operands.
        adds_axis: whether operands without axes get one, and the results have the shapes that they have without it.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode, maybe_get_fake_mode
    from torch.fx.experimental.proxy_tensor import make_fx

    values: list[torch.Tensor] = []

    def placed(operand: Node) -> Any:
        if not fake_tensors(operand):
            return operand.meta.get("val")
        values.append(operand.meta["val"])
        return _Place(len(values) - 1)

    args, kwargs = torch.fx.map_arg((node.args, node.kwargs), placed)

    def call(*tensors: torch.Tensor) -> Any:
        given = [one.reshape(1) if adds_axis and one.dim() == 0 else one for one in tensors]
        own_args, own_kwargs = torch.utils._pytree.tree_map(
            lambda one: given[one.number] if isinstance(one, _Place) else one, (args, kwargs)
        )
        made = target(*own_args, **own_kwargs)
        if not adds_axis:
            return made
        ranks = iter([one.dim() for one in fake_tensors(node)])
        return torch.utils._pytree.tree_map(
            lambda one: one if one.dim() == next(ranks) else one.squeeze(0), made
        )

    mode = (
        next((found for value in values if (found := maybe_get_fake_mode(value))), None) or FakeTensorMode()
    )
    try:
        with torch.no_grad(), mode:
            made = make_fx(call, decomposition_table=_definitions())(*values)
    except Exception:  # PyTorch's definitions may raise any error for arguments that they do not support
        return None
    calls = [step.target for step in made.graph.nodes if step.op == "call_function"]
    known = all(not isinstance(call, torch._ops.OpOverload) or name_of(call) in OPERATORS for call in calls)
    return made if known else None


class _Place:
    """The position of a tensor among the operands of an operator."""

    def __init__(self, number: int) -> None:
        self.number = number
