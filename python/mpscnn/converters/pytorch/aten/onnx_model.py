"""Build graphs of ONNX' operators in memory from PyTorch's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_reader.expansions import COMPUTED
from mpscnn.converters.onnx_reader.file import NODE_BYTES, Described, OnnxFile
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.pytorch.extents import Extent, FreeExtent
from mpscnn.errors import UnsupportedError

#: The version of ONNX' operators. Since 21, GroupNormalization has a scale for each channel.
OPSET = 21

Shape = tuple[Extent, ...]
_Source = tuple[str, int, int, int]
"""Where a symbol is known from: a shape and an axis, whose extent is factor * symbol + offset."""


class OnnxModel:
    """A graph of ONNX' operators to which nodes and constants are added.

    Tensors are referred to by name. `shapes` has the shape of each tensor.
    """

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        self.layer = ""  # the name of the nodes that are added next
        self._nodes: list[Node] = []
        self._constants: dict[str, NDArray[Any]] = {}
        self._inputs: list[Described] = []
        self._numbers: dict[tuple[str, Any], str] = {}
        self._symbols: dict[Any, _Source] = {}
        self._taken: set[str] = set()
        self._count = 0

    def input(self, name: str, shape: Shape, element: str = "float32") -> str:
        """Add an input and return its name."""
        self._inputs.append(_described(name, shape, element))
        self._taken.add(name)
        self.shapes[name] = shape
        free = [(axis, extent) for axis, extent in enumerate(shape) if isinstance(extent, FreeExtent)]
        read = self.add("Shape", name) if free else ""
        for axis, extent in free:
            symbol, factor, offset = extent.line()
            if symbol is not None and (symbol not in self._symbols or extent.expression == symbol):
                self._symbols[symbol] = read, axis, factor, offset
        return name

    def constant(self, array: NDArray[Any], name: str | None = None) -> str:
        """Add a constant and return its name, which differs from `name` if another tensor has that."""
        name = name if name and name not in self._taken else self._unique(name or "constant")
        self._taken.add(name)
        self._constants[name] = array
        self.shapes[name] = array.shape
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant scalar. Equal scalars are added once."""
        key = ("float", float(value))
        if key not in self._numbers:
            with np.errstate(over="ignore"):  # as torch does, a number beyond float32 becomes an infinity
                self._numbers[key] = self.constant(np.asarray(value, np.float32).reshape(()))
        return self._numbers[key]

    def integers(self, values: Sequence[Extent]) -> str:
        """Return the name of a list of integers, such as a shape or axes. Equal constant lists are added once."""
        key = ("int", tuple(values))
        if key not in self._numbers:
            free = [value for value in values if isinstance(value, FreeExtent)]
            self._numbers[key] = (
                self._computed(values, free)
                if free
                else self.constant(np.asarray(values, np.int64).reshape(-1))
            )
        return self._numbers[key]

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

        return self.add(COMPUTED, *shapes, function=compute)

    def add(self, kind: str, *inputs: str | None, **attributes: Any) -> str:
        """Add a node and return the name of its first result."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, results: int, *inputs: str | None, **attributes: Any) -> tuple[str, ...]:
        """Add a node and return the names of its results."""
        names = [self._unique(kind) for _ in range(results)]
        self._nodes.append(Node(kind, [one or "" for one in inputs], names, attributes, self.layer))
        return tuple(names)

    def split(self, x: str, axis: int, sizes: Sequence[Extent]) -> tuple[str, ...]:
        """Add a Split and return its parts."""
        return self.several("Split", len(sizes), x, self.integers(sizes), axis=axis)

    def file(self, outputs: Sequence[tuple[str, Shape, str]], title: str) -> OnnxFile:
        """Return the graph in the form in which mpscnn reads ONNX files. `outputs` has names, shapes and types."""
        ends = [_described(*output) for output in outputs]
        return OnnxFile(
            title,
            self._nodes,
            self._inputs,
            [end.name for end in ends],
            self._constants,
            size=sum(array.nbytes for array in self._constants.values()) + NODE_BYTES * len(self._nodes),
            opset=OPSET,
            stated=lambda: [*self._inputs, *ends],
        )

    def _unique(self, stem: str) -> str:
        self._count += 1
        while (name := f"{stem}.{self._count}") in self._taken:
            self._count += 1
        self._taken.add(name)
        return name


def _described(name: str, shape: Shape, element: str) -> Described:
    """Return the description of a tensor whose elements have one of torch's types."""
    extents = tuple(None if isinstance(extent, FreeExtent) else extent for extent in shape)
    return Described(name, {"float32": "float", "float64": "double"}.get(element, element), extents)
