"""Build ONNX models in memory from PyTorch's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_reader.file import OnnxFile, file_from_model

if TYPE_CHECKING:
    import onnx

#: The version of ONNX' operators. Since 21, GroupNormalization has a scale for each channel.
OPSET = 21

Shape = tuple[int, ...]


class OnnxModel:
    """An ONNX model to which nodes and constants are added.

    Tensors are referred to by name. `shapes` has the shape of each tensor.
    """

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        self.layer = ""  # the name of the nodes that are added next
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._numbers: dict[tuple[str, tuple[float, ...] | float], str] = {}
        self._count = 0

    def input(self, name: str, shape: Shape) -> str:
        """Add a float32 input and return its name."""
        self._inputs.append(_described(name, shape))
        self.shapes[name] = shape
        return name

    def constant(self, array: NDArray[Any], name: str | None = None) -> str:
        """Add a constant and return its name."""
        import onnx

        name = name or self._unique("constant")
        self._constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        self.shapes[name] = array.shape
        return name

    def number(self, value: float) -> str:
        """Return the name of a constant scalar. Equal scalars are added once."""
        key = ("float", float(value))
        if key not in self._numbers:
            with np.errstate(over="ignore"):  # as torch does, a number beyond float32 becomes an infinity
                self._numbers[key] = self.constant(np.asarray(value, np.float32).reshape(()))
        return self._numbers[key]

    def integers(self, values: Sequence[int]) -> str:
        """Return the name of a constant list of integers, such as a shape or axes. Equal lists are added once."""
        key = ("int", tuple(values))
        if key not in self._numbers:
            self._numbers[key] = self.constant(np.asarray(values, np.int64).reshape(-1))
        return self._numbers[key]

    def add(self, kind: str, *inputs: str | None, results: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its first result."""
        import onnx

        names = [self._unique(kind) for _ in range(results)]
        node = onnx.helper.make_node(
            kind, [one or "" for one in inputs], names, name=self.layer, **attributes
        )
        self._nodes.append(node)
        return names[0]

    def split(self, x: str, axis: int, sizes: Sequence[int]) -> tuple[str, ...]:
        """Add a Split and return its parts."""
        self.add("Split", x, self.integers(sizes), results=len(sizes), axis=axis)
        return tuple(self._nodes[-1].output)

    def file(self, outputs: Sequence[tuple[str, Shape]], title: str) -> OnnxFile:
        """Return the model in the form in which mpscnn reads ONNX files."""
        import onnx

        ends = [_described(name, shape) for name, shape in outputs]
        graph = onnx.helper.make_graph(self._nodes, title, self._inputs, ends, self._constants)
        opset = [onnx.helper.make_opsetid("", OPSET)]
        return file_from_model(onnx.helper.make_model(graph, opset_imports=opset), title)

    def _unique(self, stem: str) -> str:
        self._count += 1
        return f"{stem}.{self._count}"


def _described(name: str, shape: Shape) -> onnx.ValueInfoProto:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))
