"""An ONNX operator with its operands and attributes, for the functions that convert operators to Core ML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]


class Operator:
    """An ONNX node that is being converted.

    Args:
        mb: coremltools' builder of programs.
        inputs: variables of the program, or constants; None for an operand that is left out.
        attributes: the attributes of the node.
        name: the name for the operation that computes the result.
        is_program: whether a program is written; False: a neural network.
    """

    def __init__(
        self, mb: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], name: str, *, is_program: bool
    ) -> None:
        self.mb = mb
        self.inputs = list(inputs)
        self.attributes = attributes
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

    def constant(self, place: int) -> Array:
        """Return an operand that must be a constant. Raises UnsupportedError if it is not."""
        value = self.inputs[place]
        if not isinstance(value, np.ndarray):
            raise UnsupportedError(
                "it reads a tensor that the network computes where Core ML takes constants only"
            )
        return value

    def given(self, place: int) -> bool:
        """Return True if an operand is not left out."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """Return an attribute that is a list of integers."""
        return [int(one) for one in self.attributes.get(name, default)]

    def axis(self, default: int) -> int:
        """Return the axis from an attribute, counted from the front."""
        return int(self.attributes.get("axis", default)) % len(self.shape)

    def axes(self) -> list[int]:
        """Return the axes of a reduction, from an attribute or an operand. Without both these are all axes."""
        rank = len(self.shape)
        if "axes" in self.attributes:
            return [axis % rank for axis in self.integers("axes", ())]
        if self.given(1):
            return [int(one) % rank for one in self.constant(1).reshape(-1)]
        return list(range(rank))


Handler = Callable[[Operator], Any]
"""A function that adds the Core ML operations for an operator and returns its result."""
PROGRAMS_DO = "which neural networks do not have: write a program (.mlpackage)"
"""The end of an error message for operators that only programs support."""
LARGEST = 3e38
"""The number that is written instead of infinity."""
