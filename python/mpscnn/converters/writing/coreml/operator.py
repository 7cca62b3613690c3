"""An ONNX operator with its operands and attributes, for the functions that convert operators to Core ML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpscnn.converters.writing.written_operator import WrittenOperator


class Operator(WrittenOperator):
    """An ONNX node that is being converted.

    Args:
        mb: coremltools' builder of programs.
        inputs: variables of the program, or constants; None for an operand that is left out.
        attributes: the attributes of the node.
        name: the name for the operation that computes the result.
        is_program: whether a program is written; False: a neural network.
    """

    target = "Core ML"

    def __init__(
        self, mb: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], name: str, *, is_program: bool
    ) -> None:
        super().__init__(inputs, attributes)
        self.mb = mb
        self.name = name
        self.is_program = is_program

    @property
    def x(self) -> Any:
        """The first operand."""
        return self.inputs[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the first operand."""
        return tuple(int(extent) for extent in self.x.shape)


PROGRAMS_DO = "which neural networks do not have: write a program (.mlpackage)"
"""The end of an error message for operators that only programs support."""
LARGEST = 3e38
"""The number that is written instead of infinity."""
