"""A model of ONNX that operators of ATen are written into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpscnn.torch_backend.onnx_model import OnnxModel, Shape

Results = str | tuple[str | None, ...]
Operator = Callable[..., Results]


class Writer(OnnxModel):
    """A model that operators are written into.

    Attributes:
        result: the shape of the operator's first result.
        strides: of the operator's first operand.
        arrays: the numbers of tensors that are constants, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.result: Shape = ()
        self.strides: Shape = ()
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def operand(self, value: str | float) -> str:
        """Return a tensor, or a number as one."""
        return value if isinstance(value, str) else self.number(value)

    def rank(self, x: str) -> int:
        """Return how many axes a tensor has."""
        return len(self.shapes[x])

    def axes(self, x: str, given: Sequence[int] | int | None) -> list[int]:
        """Return axes as numbers from 0; all of them where none is given."""
        rank = self.rank(x)
        if given is None or (not isinstance(given, int) and not given):
            return list(range(rank))
        return [axis % max(rank, 1) for axis in ([given] if isinstance(given, int) else given)]

    def reshaped(self, x: str, shape: Sequence[int]) -> str:
        """Return the tensor with other extents."""
        made = self.add("Reshape", x, self.integers(shape))
        self.shapes[made] = tuple(shape)
        return made

    def scaled(self, x: str, factor: float) -> str:
        """Return the tensor times a number."""
        return x if factor == 1 else self.add("Mul", x, self.number(factor))
