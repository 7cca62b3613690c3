"""Add operators to a graph by the functions of the vocabulary, and ask which function adds an operator.

Only this package and the reader of ONNX know the names of ONNX' operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, TypeVar

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.reading.onnx.node import Node

Function = TypeVar("Function", bound=Callable[..., Any])

_KINDS: dict[Callable[..., Any], str] = {}
"""ONNX' names of the operators that functions of the vocabulary add."""


def adds(kind: str) -> Callable[[Function], Function]:
    """Return a decorator for a function that adds an operator of this kind."""

    def decorate(function: Function) -> Function:
        _KINDS[function] = kind
        return function

    return decorate


def added(g: Operators, function: Callable[..., Any], /, *operands: Operand, **settings: Any) -> str:
    """Add the operator of a function, without the settings that are None."""
    return several(g, function, operands, 1, **settings)[0]


def several(
    g: Operators, function: Callable[..., Any], operands: Sequence[Operand], results: int | Sequence[str], /,
    **settings: Any,
) -> list[str]:  # fmt: skip
    """Add the operator of a function with some results, or results of these names, without settings that are None."""
    return g.ops(_KINDS[function], operands, results, **stated(**settings))


def stated(**settings: Any) -> dict[str, Any]:
    """Return the settings that are not None."""
    return {name: value for name, value in settings.items() if value is not None}


Unary = Callable[[Operators, Operand], str]
"""Adds a function of one operand."""

Binary = Callable[[Operators, Operand, Operand], str]
"""Adds a function of two operands."""


def unary(kind: str) -> Unary:
    """Return the function that adds an operator of this kind, which has one operand."""

    @adds(kind)
    def function(g: Operators, x: Operand) -> str:
        return added(g, function, x)

    return function


def binary(kind: str) -> Binary:
    """Return the function that adds an operator of this kind, which has two operands."""

    @adds(kind)
    def function(g: Operators, x: Operand, y: Operand) -> str:
        return added(g, function, x, y)

    return function


def matches(node: Node | None, *functions: Callable[..., Any]) -> TypeGuard[Node]:
    """Return True for an operator that one of these functions adds. A file of ONNX may have it, too."""
    return node is not None and node.kind in [_KINDS[one] for one in functions]


def added_by(node: Node | None, *functions: Callable[..., Any]) -> Node | None:
    """Return an operator that one of these functions adds; None for others."""
    return node if matches(node, *functions) else None


def again(g: Operators, node: Node, *operands: Operand) -> str:
    """Add an operator again, with other operands after the first one."""
    return g.op(node.kind, node.inputs[0], *operands, **node.attributes)
