"""An ONNX model to which ATen's operators are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from mpscnn.converters.onnx_reader.tensors import BOOL, FLOAT, INT64
from mpscnn.converters.pytorch.aten.onnx_model import OnnxModel, Shape
from mpscnn.converters.pytorch.extents import Extent

Results = str | tuple[str | None, ...]
Operator = Callable[..., Results]

#: The type of a tensor's elements: networks compute with floats of any precision alike.
Kind = Literal["float", "int", "bool"]
_TO_ELEMENTS: dict[Kind, int] = {"float": FLOAT, "int": INT64, "bool": BOOL}


class Writer(OnnxModel):
    """An ONNX model to which operators are added one by one.

    Args:
        exact_nan: whether NaN gives the results of PyTorch in operators that need further layers for that, as in a
            backend of torch.compile.

    Attributes:
        results: the shape of each result of the current operator.
        kind: the kind of the current operator's first result.
        strides: the strides of the current operator's first operand.
        arrays: the constant tensors as arrays, by name.
        kinds: the kinds of tensors by name. Tensors that are not listed are floats.
    """

    def __init__(self, *, exact_nan: bool = False) -> None:
        super().__init__()
        self.exact_nan = exact_nan
        self.results: tuple[Shape, ...] = ()
        self.kind: Kind = "float"
        self.strides: Shape = ()
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.kinds: dict[str, Kind] = {}

    @property
    def result(self) -> Shape:
        """The shape of the current operator's first result."""
        return self.results[0]

    def kind_of(self, x: str) -> Kind:
        """Return the kind of a tensor."""
        return self.kinds.get(x, "float")

    def cast(self, x: str, kind: Kind) -> str:
        """Return a tensor with elements of another kind."""
        if self.kind_of(x) == kind:
            return x
        made = self.add("Cast", x, to=_TO_ELEMENTS[kind])
        self.kinds[made] = kind
        self.shapes[made] = self.shapes.get(x, ())
        return made

    def operand(self, value: str | Extent | float, kind: Kind | None = None) -> str:
        """Return the name of a tensor of the kind of the result, or of another kind. A number becomes a constant."""
        kind = kind or self.kind
        if isinstance(value, str):
            return self.cast(value, kind)
        if kind == "float" and isinstance(value, (int, float)):
            return self.number(value)
        if isinstance(value, (bool, float)):
            element = {"int": np.int64, "bool": np.bool_, "float": np.float32}[kind]
            return self.constant(np.asarray(value, element))
        made = self.add("Squeeze", self.integers([value]), self.integers([0]))
        self.kinds[made] = "int"
        return self.cast(made, kind)

    def rank(self, x: str) -> int:
        """Return the number of axes of a tensor."""
        return len(self.shapes[x])

    def axis(self, x: str, axis: int) -> int:
        """Return the number of an axis counted from the front."""
        return axis % max(self.rank(x), 1)

    def axes(self, x: str, given: Sequence[int] | int | None) -> list[int]:
        """Return axes counted from the front; all axes if none is given."""
        if given is None or (not isinstance(given, int) and not given):
            return list(range(self.rank(x)))
        return [self.axis(x, axis) for axis in ([given] if isinstance(given, int) else given)]

    def reshaped(self, x: str, shape: Sequence[Extent]) -> str:
        """Reshape a tensor."""
        made = self.add("Reshape", x, self.integers(shape))
        self.shapes[made] = tuple(shape)
        self.kinds[made] = self.kind_of(x)
        return made

    def scaled(self, x: str, factor: float) -> str:
        """Multiply a tensor by a number."""
        return x if factor == 1 else self.add("Mul", x, self.number(factor))
