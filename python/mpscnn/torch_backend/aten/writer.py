"""An ONNX model to which ATen's operators are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpscnn.torch_backend.onnx_model import OnnxModel, Shape

Results = str | tuple[str | None, ...]
Operator = Callable[..., Results]


class Writer(OnnxModel):
    """An ONNX model to which operators are added one by one.

    Attributes:
        result: the shape of the current operator's first result.
        strides: the strides of the current operator's first operand.
        arrays: the constant tensors as arrays, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.result: Shape = ()
        self.strides: Shape = ()
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def operand(self, value: str | float) -> str:
        """Return the name of a tensor. A number is added as a constant."""
        return value if isinstance(value, str) else self.number(value)

    def rank(self, x: str) -> int:
        """Return the number of axes of a tensor."""
        return len(self.shapes[x])

    def axes(self, x: str, given: Sequence[int] | int | None) -> list[int]:
        """Return axes counted from the front; all axes if none is given."""
        rank = self.rank(x)
        if given is None or (not isinstance(given, int) and not given):
            return list(range(rank))
        return [axis % max(rank, 1) for axis in ([given] if isinstance(given, int) else given)]

    def reshaped(self, x: str, shape: Sequence[int]) -> str:
        """Reshape a tensor."""
        made = self.add("Reshape", x, self.integers(shape))
        self.shapes[made] = tuple(shape)
        return made

    def scaled(self, x: str, factor: float) -> str:
        """Multiply a tensor by a number."""
        return x if factor == 1 else self.add("Mul", x, self.number(factor))
