"""An ONNX operator with its operands and attributes, for the functions that convert operators to Core AI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.writing.written_operator import WrittenOperator

Array = NDArray[Any]


class Operator(WrittenOperator):
    """An ONNX node that is being converted.

    Args:
        ai: the module coreai.authoring.
        inputs: values of the program, or constants; None for an operand that is left out.
        attributes: the attributes of the node.
        dtype: the type of floating-point constants.
    """

    target = "Core AI"

    def __init__(
        self, ai: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], dtype: type[np.floating[Any]]
    ) -> None:
        super().__init__(inputs, attributes)
        self.ai, self.dtype = ai, dtype

    @property
    def x(self) -> Any:
        """The first operand, which the network computes."""
        return self.value(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the first operand."""
        return shape_of(self.inputs[0])

    def value(self, place: int) -> Any:
        """Return an operand as a value of the program."""
        return self.of(self.inputs[place])

    def of(self, operand: Any) -> Any:
        """Return a number, an array or a value as a value of the program."""
        from coreai.authoring.constant import constant

        if not isinstance(operand, (np.ndarray, float, int, list)):
            return operand
        array = np.asarray(operand)
        if array.dtype.kind == "f" or isinstance(operand, float):
            array = array.astype(self.dtype)
        elif array.dtype == np.int64:  # larger numbers only mean the end of an axis
            limits = np.iinfo(np.int32)
            array = array.clip(limits.min, limits.max).astype(np.int32)
        return constant(array)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute; texts are decoded."""
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def pads(self, count: int) -> list[int]:
        """Return the padding before all spatial axes, then after them."""
        return self.integers("pads", [0] * (2 * count))

    def two(self, kind: str, x: Any, y: Any) -> Any:
        """Compute an operation of two operands, which are broadcast."""
        return getattr(self.ai, f"broadcasting_{kind}")(self.of(x), self.of(y))

    def padded(
        self, x: Any, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
    ) -> Any:
        """Pad the last axes."""
        if not any((*before, *after)):
            return x
        rest = len(shape_of(x)) - len(before)
        sides = [0] * (2 * rest) + [amount for pair in zip(before, after, strict=True) for amount in pair]
        return self.ai.pad(x, np.array(sides, np.uint32), self.of(np.array(value, np.float32)), mode)

    def reshaped(self, x: Any, shape: Sequence[int]) -> Any:
        """Return a value with another shape."""
        return x if tuple(shape) == shape_of(x) else self.ai.reshape(x, np.array(shape, np.uint32))


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the extents of a constant or a value of the program."""
    found = value.shape if isinstance(value, np.ndarray) else value.type.shape
    return tuple(int(extent) for extent in found)


def unsigned(values: Sequence[int]) -> Array:
    """Return numbers, none of which is negative, as Core AI's operations take them."""
    return np.array(values, np.uint32)
