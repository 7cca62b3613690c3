"""A graph of ONNX' operators to which ATen's operators are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.graph import Graph
from mpscnn.converters.reading.onnx.expansions import Operand
from mpscnn.converters.reading.onnx.file import Described, OnnxFile
from mpscnn.converters.reading.onnx.tensors import BOOL, FLOAT, INT64
from mpscnn.converters.reading.pytorch.extents import Extent, FreeExtent
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

__all__ = ["Kind", "Operand", "Results", "Shape", "Writer"]

Shape = tuple[Extent, ...]
Results = str | tuple[str | None, ...]

#: The type of a tensor's elements: networks compute with floats of any precision alike.
Kind = Literal["float", "int", "bool"]
_TO_ELEMENTS: dict[Kind, int] = {"float": FLOAT, "int": INT64, "bool": BOOL}

_Source = tuple[str, int, int, int]
"""Where a symbol is known from: a shape and an axis, whose extent is factor * symbol + offset."""


class Writer(Graph):
    """A graph of ONNX' operators to which those of ATen are added one by one.

    Nodes have the name of their layer. Lists of whole numbers may contain free extents.

    Args:
        title: the name of the graph, for messages.

    Attributes:
        results: the shape of each result of the current operator.
        kind: the kind of the current operator's first result.
        strides: the strides of the current operator's first operand.
        shapes: the shapes of tensors by name.
        arrays: the constant tensors as arrays, by name.
        kinds: the kinds of tensors by name. Tensors that are not listed are floats.
        places_of_maxima: the names of the places of a maximum pooling, which only its inverse may read.
    """

    _named_by_layer = True

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.results: tuple[Shape, ...] = ()
        self.kind: Kind = "float"
        self.strides: Shape = ()
        self.shapes: dict[str, Shape] = {}
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.kinds: dict[str, Kind] = {}
        self.places_of_maxima: set[str] = set()
        self._numbers: dict[Any, str] = {}
        self._symbols: dict[Any, _Source] = {}

    def input(self, name: str, shape: Shape, element: str = "float32") -> str:
        """Add an input and return its name."""
        self._inputs.append(_described(name, shape, element))
        self._names.take([name])
        self.shapes[name] = shape
        free = [(axis, extent) for axis, extent in enumerate(shape) if isinstance(extent, FreeExtent)]
        read = ops.extents(self, name) if free else ""
        for axis, extent in free:
            symbol, factor, offset = extent.line()
            if symbol is not None and (symbol not in self._symbols or extent.expression == symbol):
                self._symbols[symbol] = read, axis, factor, offset
        return name

    def file(self, outputs: Sequence[tuple[str, Shape, str]]) -> OnnxFile:
        """Return the graph in the form in which mpscnn reads ONNX files. `outputs` has names, shapes and types."""
        return self._file(
            [name for name, _, _ in outputs], stated=[_described(*output) for output in outputs]
        )

    # ---- Constants -------------------------------------------------------------------------------------------------

    def constant(self, array: NDArray[Any], name: str = "constant") -> str:
        """Add a constant and return its name, which differs from `name` if another tensor has that."""
        name = super().constant(array, name)
        self.shapes[name] = array.shape
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant number. Equal numbers are added once."""
        if (known := self._numbers.get(float(value))) is None:
            with np.errstate(over="ignore"):  # as torch does, a number beyond float32 becomes an infinity
                known = self._numbers[float(value)] = self.constant(np.asarray(value, np.float32))
        return known

    def integers(self, values: Sequence[Any]) -> str:
        """Return the name of a list of whole numbers, some of which may be free extents. Equal lists are added once."""
        if (known := self._numbers.get(tuple(values))) is None:
            free = [value for value in values if isinstance(value, FreeExtent)]
            known = self._computed(values, free) if free else self.constant(np.asarray(values, np.int64))
            self._numbers[tuple(values)] = known
        return known

    def _computed(self, values: Sequence[Extent], free: Sequence[FreeExtent]) -> str:
        """Return the name of a list of numbers, some of which depend on extents of the inputs."""
        for one in free:
            if not self._symbols.keys() >= one.expression.free_symbols:
                raise UnsupportedError(f"an extent that is computed as {one}")
        symbols = {symbol: self._symbols[symbol] for one in free for symbol in one.expression.free_symbols}
        shapes = list(dict.fromkeys(source[0] for source in symbols.values()))

        def compute(*arrays: NDArray[Any]) -> NDArray[Any]:
            known = dict(zip(shapes, arrays, strict=True))
            numbers = {
                symbol: (int(known[shape][axis]) - offset) // factor
                for symbol, (shape, axis, factor, offset) in symbols.items()
            }
            return np.asarray([one.at(numbers) if isinstance(one, FreeExtent) else one for one in values])

        return ops.computed(self, *shapes, function=compute)

    # ---- Tensors ---------------------------------------------------------------------------------------------------

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
        made = ops.cast(self, x, to=_TO_ELEMENTS[kind])
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
        made = ops.squeeze(self, self.integers([value]), [0])
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
        made = ops.reshape(self, x, shape)
        self.shapes[made] = tuple(shape)
        self.kinds[made] = self.kind_of(x)
        return made

    def scaled(self, x: str, factor: float) -> str:
        """Multiply a tensor by a number."""
        return x if factor == 1 else ops.multiply(self, x, factor)

    def split(self, x: str, axis: int, sizes: Sequence[Extent]) -> tuple[str, ...]:
        """Add a Split and return its parts."""
        return tuple(ops.split(self, x, sizes, axis=axis))


def several(operator: Row, names: str) -> dict[str, Row]:
    """Return the rows of operators that one function writes. Names without an overload have the overload "default"."""
    return {name if "." in name else f"{name}.default": operator for name in names.split()}


def first_of(count: int, write: Callable[..., str]) -> Row:
    """Return a function for an operator with several results, of which only the first is computed."""

    def write_first(g: Writer, *given: Any, **named: Any) -> tuple[str | None, ...]:
        return write(g, *given, **named), *[None] * (count - 1)

    return write_first


def _described(name: str, shape: Shape, element: str) -> Described:
    """Return the description of a tensor whose elements have one of torch's types."""
    extents = tuple(None if isinstance(extent, FreeExtent) else extent for extent in shape)
    return Described(name, {"float32": "float", "float64": "double"}.get(element, element), extents)
