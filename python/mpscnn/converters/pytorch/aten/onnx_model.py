"""Build graphs of ONNX' operators in memory from PyTorch's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_reader.composed_operators import COMPOSED
from mpscnn.converters.onnx_reader.expansions import expanded
from mpscnn.converters.onnx_reader.file import NODE_BYTES, Described, OnnxFile
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.pytorch.aten.extent_nodes import ExtentNodes
from mpscnn.converters.pytorch.extents import Extent, FreeExtent

#: The version of ONNX' operators. Since 21, GroupNormalization has a scale for each channel.
OPSET = 21

Shape = tuple[Extent, ...]


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
        self._extents = ExtentNodes(self)
        self._taken: set[str] = set()
        self._count = 0

    def input(self, name: str, shape: Shape, element: str = "float32") -> str:
        """Add an input and return its name."""
        self._inputs.append(_described(name, shape, element))
        self._taken.add(name)
        self.shapes[name] = shape
        self._extents.read_input(name, shape)
        return name

    def constant(self, array: NDArray[Any], name: str | None = None) -> str:
        """Add a constant and return its name, which differs from `name` if another tensor has that."""
        name = name if name and name not in self._taken else self.unique(name or "constant")
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
        if any(isinstance(value, FreeExtent) for value in values):
            parts = [self.extent(value) for value in values]
            return self.add("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
        key = ("int", tuple(values))
        if key not in self._numbers:
            self._numbers[key] = self.constant(np.asarray(values, np.int64).reshape(-1))
        return self._numbers[key]

    def extent(self, value: Extent) -> str:
        """Return the name of a tensor with an extent as its only element."""
        return (
            self._extents.write(value.expression) if isinstance(value, FreeExtent) else self.integers([value])
        )

    def add(self, kind: str, *inputs: str | None, **attributes: Any) -> str:
        """Add a node and return the name of its first result."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, results: int, *inputs: str | None, **attributes: Any) -> tuple[str, ...]:
        """Add a node and return the names of its results."""
        names = [self.unique(kind) for _ in range(results)]
        self._nodes.append(Node(kind, [one or "" for one in inputs], names, attributes, self.layer))
        return tuple(names)

    def split(self, x: str, axis: int, sizes: Sequence[Extent]) -> tuple[str, ...]:
        """Add a Split and return its parts."""
        return self.several("Split", len(sizes), x, self.integers(sizes), axis=axis)

    def file(self, outputs: Sequence[tuple[str, Shape, str]], title: str) -> OnnxFile:
        """Return the graph in the form in which mpscnn reads ONNX files. `outputs` has names, shapes and types."""
        ends = [_described(*output) for output in outputs]
        nodes = expanded(self._nodes, COMPOSED, self)
        return OnnxFile(
            title,
            nodes,
            self._inputs,
            [end.name for end in ends],
            self._constants,
            size=sum(array.nbytes for array in self._constants.values()) + NODE_BYTES * len(nodes),
            opset=OPSET,
            stated=lambda: [*self._inputs, *ends],
        )

    def unique(self, stem: str, /) -> str:
        """Return a name with a number that no tensor has."""
        self._count += 1
        while (name := f"{stem}.{self._count}") in self._taken:
            self._count += 1
        self._taken.add(name)
        return name


def _described(name: str, shape: Shape, element: str) -> Described:
    """Return the description of a tensor whose elements have one of torch's types."""
    extents = tuple(None if isinstance(extent, FreeExtent) else extent for extent in shape)
    return Described(name, {"float32": "float", "float64": "double"}.get(element, element), extents)
