"""One operator of ONNX, and what the functions for all kinds of operators read of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]


class Operator:
    """A node in the making.

    Args:
        mb: coremltools' builder of programs.
        inputs: variables of the program and constants, None for one that is left out.
        attributes: of the node.
        name: of the operation that computes its result.
        is_program: whether it becomes a part of a program, and not of a neural network.
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
        """An operand that must be a constant."""
        value = self.inputs[place]
        if not isinstance(value, np.ndarray):
            raise UnsupportedError(
                "it reads a tensor that the network computes where Core ML takes constants only"
            )
        return value

    def given(self, place: int) -> bool:
        """Whether an operand is there."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """Return an attribute with whole numbers."""
        return [int(one) for one in self.attributes.get(name, default)]

    def axes(self) -> list[int]:
        """Return the axes of a reduction: an attribute or an operand, all of them where there is neither."""
        if "axes" in self.attributes:
            return self.integers("axes", ())
        if self.given(1):
            return [int(one) for one in self.constant(1).reshape(-1)]
        return list(range(len(self.shape)))


Handler = Callable[[Operator], Any]
"""The operation of Core ML that computes an operator's result."""
PROGRAMS_DO = "which neural networks do not have: write a program (.mlpackage)"
"""The end of a reason against a neural network."""
LARGEST = 3e38
"""In place of infinity."""
