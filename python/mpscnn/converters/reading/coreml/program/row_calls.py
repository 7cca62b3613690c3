"""Call the rows of the operations of Core ML's programs with the operands of an operation, which have names.

Rows raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NewType, get_origin

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.program.constants import Array as Numbers
from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Ints, Operand, Parameter, Row, call

GivenName = NewType("GivenName", str)
WeightName = NewType("WeightName", str)
FreeText = NewType("FreeText", str)

NO_TEXT = FreeText("")

Given = Annotated[GivenName, Operand()]
"""The name of an operand that the row reads by itself."""
Tensor = Annotated[str, Operand()]
"""A tensor of the graph, constant or computed."""
Tensors = Annotated[list[str], Operand()]
"""A list of tensors."""
Weight = Annotated[WeightName, Operand()]
"""A tensor of the graph that must be constant."""
Array = Annotated[Numbers, Operand()]
"""The elements of a constant."""
Wholes = Annotated[Ints, Operand()]
Whole = Annotated[int, Operand()]
Real = Annotated[float, Operand()]
"""A constant finite number."""
Flag = Annotated[bool, Operand()]
Flags = Annotated[tuple[bool, ...], Operand()]
Text = Annotated[FreeText, Operand()]

_READ: dict[Any, Callable[[Operation, str], Any]] = {
    GivenName: lambda _, name: name,
    str: lambda op, name: op.tensor(name),
    list[str]: lambda op, name: op.tensors(name),
    WeightName: lambda op, name: op.weight(name),
    Numbers: lambda op, name: op.array(name),
    Ints: lambda op, name: op.integers(name),
    int: lambda op, name: op.integer(name),
    float: lambda op, name: op.number(name),
    bool: lambda op, name: op.flag(name),
    tuple[bool, ...]: lambda op, name: op.flags(name),
    FreeText: lambda op, name: op.text(name),
}
"""How operands are read, by the type of the parameter."""


def call_row(row: Row, b: Builder, op: Operation) -> str | list[str]:
    """Return the tensors of the results of an operation."""

    def read(parameter: Parameter, name: str) -> Any:
        if get_origin(parameter.kind) is Literal:
            return parameter.checked(op.text(name))
        return _READ[parameter.kind](op, name)

    made: str | list[str] = call(
        row, {name: name for name in op.given}, {}, read, {Builder: b, Operation: op}
    )
    return made


def unary(function: ops.Unary) -> Row:
    """Return the row of an operation that is a function of x."""

    def row(b: Builder, x: Tensor) -> str:
        return function(b, x)

    return row


def binary(function: ops.Binary) -> Row:
    """Return the row of an operation that is a function of x and y."""

    def row(b: Builder, x: Tensor, y: Tensor) -> str:
        return function(b, x, y)

    return row
