"""Call the rows of ONNX' operators with the operands and settings of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NewType, TypeVar

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.rows import Ints, Operand, Parameter, Row, call
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

Opset = NewType("Opset", int)
"""The version of ONNX' operators that the file uses, which the reader gives to rows."""

X = Annotated[Value, Operand()]
"""A first operand: a constant if all operands are constants, otherwise a tensor that the network computes."""
Whole = Annotated[Value, Operand(whole_numbers=True)]
"""The same, where computed integers are allowed."""
Either = Annotated[Value, Operand(whole_numbers=True, keeps_state=True)]
"""An operand that may be a constant even if the network computes others."""
Together = Annotated[Value, Operand(becomes_tensor=True)]
"""An operand that becomes a tensor of the network if the network computes one of the operands."""
WholeTogether = Annotated[Value, Operand(whole_numbers=True, becomes_tensor=True)]
"""The same, where computed integers are allowed."""
Computed = Annotated[FileTensor, Operand()]
"""An operand that the network must compute."""
ComputedWhole = Annotated[FileTensor, Operand(whole_numbers=True)]
"""The same, where integers are allowed."""
ConstantOrComputed = Annotated[FileTensor, Operand(whole_numbers=True, becomes_tensor=True)]
"""An operand that becomes a tensor of the network if it is a constant."""
ComputedFloats = Annotated[FileTensor, Operand(becomes_tensor=True)]
"""The same, where integers are refused."""
Given = Annotated[Constant, Operand()]
"""A constant."""
Axes = Annotated[Ints, Operand("its axes", or_setting=True)]
"""Constant axes, which are a setting in old opsets."""


def takes_activation(row: Decorated) -> Decorated:
    """Mark a row whose layer also computes the activation that follows it."""
    vars(row)["takes_activation"] = True
    return row


def layer_takes_activation(row: Row) -> bool:
    """Return True if a row is marked by `takes_activation`."""
    return "takes_activation" in vars(row)


def call_row(row: Row, node: Node, constants: Constants, c: Context | None = None) -> Any:
    """Return the results of a row for a node. Without a context, all operands must be constants."""

    def read(parameter: Parameter, name: str) -> Any:
        kind, how = parameter.kind, parameter.operand
        assert how is not None
        if kind is str:
            return name
        if kind is Value and c is not None:
            return _value(c, node, name, parameter)
        if kind is FileTensor and c is not None:
            return (c.tensor if how.becomes_tensor else c.value)(name, whole_numbers=how.whole_numbers)
        constant = constants.operand(name, how.what)
        if kind is float:
            return constant.number(how.what)
        return tuple(constant.integers(how.what)) if kind == Ints else constant

    given = {
        Context: c,
        Node: node,
        Constants: constants,
        Budget: constants.budget,
        Opset: constants.opset,
    }
    return call(row, [name or None for name in node.inputs], node.settings, read, given)


def _value(c: Context, node: Node, name: str, parameter: Parameter) -> Value:
    """Return an operand of a node, of whose operands the network computes some."""
    how = parameter.operand
    assert how is not None
    if how.becomes_tensor:
        rank = c.rank_of(node.inputs, whole_numbers=how.whole_numbers) if parameter.is_rest else None
        return c.tensor(name, rank, whole_numbers=how.whole_numbers)
    if how.keeps_state and c.is_constant(name) and not c.parameters.learns(name):
        return c.constants.operand(name, how.what)
    return c.value(name, whole_numbers=how.whole_numbers)
