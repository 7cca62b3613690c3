"""The operands and attributes of an ONNX operator that is converted to an operation of another format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]


class WrittenOperator(ABC):
    """An ONNX node that is being converted.

    Args:
        inputs: values of the program that is written, or constants; None for an operand that is left out.
        attributes: the attributes of the node.
    """

    target: ClassVar[str]
    """The name of the format, for messages."""

    def __init__(self, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> None:
        self.inputs = list(inputs)
        self.attributes = attributes

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The extents of the first operand."""

    def given(self, place: int) -> bool:
        """Return True if an operand is not left out."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def constant(self, place: int) -> Array:
        """Return an operand that must be a constant. Raises UnsupportedError if it is not."""
        value = self.inputs[place]
        if not isinstance(value, np.ndarray):
            raise UnsupportedError(
                f"it reads a tensor that the network computes where {self.target} takes constants only"
            )
        return value

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

    def ranges(self) -> dict[int, range]:
        """Return the positions that a Slice takes, by axis."""
        rank = len(self.shape)
        starts, ends = (self.constant(place).reshape(-1) for place in (1, 2))
        axes = self.constant(3).reshape(-1) if self.given(3) else np.arange(len(starts))
        steps = self.constant(4).reshape(-1) if self.given(4) else np.ones(len(starts), np.int64)
        ranges: dict[int, range] = {}
        for start, stop, axis, step in zip(starts, ends, axes, steps, strict=True):
            place = int(axis) % rank
            ranges[place] = range(self.shape[place])[int(start) : int(stop) : int(step)]
        return ranges
