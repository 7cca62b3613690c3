"""Decompose operators that mpscnn lacks into operators that the table has, by PyTorch's own definitions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from mpscnn.converters.pytorch.aten.nodes import fake_tensors, name_of
from mpscnn.converters.pytorch.aten.operators import OPERATORS


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


def decomposed(node: Node, target: torch._ops.OpOverload) -> torch.fx.GraphModule | None:
    """Return the graph of operators that an operator is made of.

    Returns None if PyTorch does not define it by operators of the table.

    Args:
        node: the call of the operator. The graph's placeholders are its operands that are tensors, in order.
        target: the operator, which writes into none of its operands.
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
        own_args, own_kwargs = torch.utils._pytree.tree_map(
            lambda one: tensors[one.number] if isinstance(one, _Place) else one, (args, kwargs)
        )
        return target(*own_args, **own_kwargs)

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
