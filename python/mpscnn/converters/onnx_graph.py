"""Build a graph of ONNX operators from a network of another format.

The reader of ONNX files then converts this graph, because that reader already handles images with the channels first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.blobs import Blob, Place
from mpscnn.converters.broadcast_views import is_filled
from mpscnn.converters.budget import Budget, Cost
from mpscnn.converters.float32_intermediates import Origin
from mpscnn.converters.layer_names import LayerNames, quote_name
from mpscnn.converters.onnx_reader.file import Described, OnnxFile
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.tensors import element_type
from mpscnn.converters.wire.protobuf_view import ProtobufView
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]

# The allowed elements of copied constants for each byte of the file. A byte may hold eight indices of one bit.
_ELEMENTS_PER_BYTE = 8
# The maximum number of elements of a constant that repeats one number.
_MAX_REPEATED = 4_096

CAST_OF_FLOATS = "mpscnn.Cast"
"""A node that is not an ONNX operator: it copies a tensor between layers in float16 and layers kept in float32."""


class Graph:
    """A graph to which nodes are added one by one.

    Layers read and write blobs, which are named values as in Caffe. A layer may overwrite a blob; the result then gets
    a new name in the graph.

    Args:
        origin: the name of the file, for error messages.
        inputs: the shapes of the inputs by name; None stands for an extent that is free.
        needed_for: the kind of files that is read, for the error message if the package onnx is missing.
        extra: the extra of mpscnn that installs this package.
        opset: the version of the ONNX operators.
        size: a function that returns the bytes of the network's files, which limit the constants in the graph.
        keeps_axes: as for `OnnxFile`.
    """

    def __init__(
        self,
        origin: str,
        inputs: Mapping[str, Sequence[int | None]],
        needed_for: str,
        extra: str,
        opset: int,
        size: Callable[[], int],
        *,
        keeps_axes: bool = False,
    ) -> None:
        try:
            import onnx
        except ImportError as error:
            raise UnsupportedError(
                f'reading {needed_for} needs: pip install "mpscnn[{extra}]" ({error})'
            ) from error
        self._onnx = onnx
        self._origin = origin
        self._inputs = dict(inputs)
        self._opset = opset
        self._keeps_axes = keeps_axes
        self._names = LayerNames()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[Any] | Blob] = {}
        self._budget = Budget(size, elements_per_byte=_ELEMENTS_PER_BYTE)
        self._places: set[tuple[Path, int, int]] = set()
        self._current: dict[str, str] = {}
        self._read: set[str] = set()
        for name in inputs:
            self._current[name] = self._names.unique(name)

    def has(self, blob: str) -> bool:
        """Return True if there is such a blob at this point of the network."""
        return blob in self._current

    def tensor(self, blob: str) -> str:
        """Return the name of the tensor that a blob holds at this point of the network."""
        if blob not in self._current:
            raise WeightsError(f"damaged: needs {quote_name(blob)}, which no layer before it computes")
        self._read.add(self._current[blob])
        return self._current[blob]

    def result(self, blob: str) -> str:
        """Return a new tensor name for a blob that a layer computes."""
        self._current[blob] = self._names.unique(blob)
        return self._current[blob]

    def constant(self, name: str, values: NDArray[Any] | Blob) -> str:
        """Add a constant and return its name.

        A weight in a file is not copied: the graph refers to the file. A broadcast view of one number becomes an
        operator, so that the number is not repeated. Raises UnsupportedError if copied constants take far more than the
        file's size.
        """
        made = self._names.unique(name)
        if isinstance(values, Blob) and isinstance(values.numbers, Place):
            place = values.numbers
            self._places.add((place.content.path, place.begin, place.size))
            self._constants[made] = values
            return made
        if not isinstance(values, Blob) and is_filled(values) and values.size > _MAX_REPEATED:
            return self._filled(made, values)
        self._budget.spend(Cost(values.size, values.size))
        self._constants[made] = values.array() if isinstance(values, Blob) else np.array(values)
        return made

    def values_of(self, name: str) -> NDArray[Any] | None:
        """Return the elements of a constant that the graph holds itself; None for others, such as weights in a file."""
        values = self._constants.get(name)
        return None if isinstance(values, Blob) else values

    def _filled(self, name: str, values: NDArray[Any]) -> str:
        """Add an operator that makes a constant whose elements are all one number."""
        shape = self.constant(f"{name}/shape", np.asarray(values.shape, np.int64))
        number = self._onnx.numpy_helper.from_array(values[(slice(0, 1),) * values.ndim].reshape(1))
        self.node("ConstantOfShape", name, [shape], [name], value=number)
        return name

    def node(
        self, kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a node. If its operator is not one of ONNX, `kind` begins with a domain, as in "caffe.Kind"."""
        domain, _, own = kind.rpartition(".")
        self._nodes.append(
            self._onnx.helper.make_node(own, inputs, outputs, name=name, domain=domain, **attributes)
        )

    def last_node(self, kind: str, output: str) -> onnx.NodeProto | None:
        """Return the last node if it computes this tensor and is of this kind; otherwise None."""
        found = self._nodes[-1] if self._nodes else None
        if found is None or found.op_type != kind or list(found.output) != [output]:
            return None
        return found

    def ends(self) -> list[str]:
        """Return the blobs that no layer reads, in the order of the file."""
        return [
            blob
            for blob, name in self._current.items()
            if name not in self._read and name not in self._inputs
        ]

    def onnx_file(self, outputs: Sequence[str]) -> OnnxFile:
        """Return the graph with these tensors as its outputs."""
        inputs = [
            Described(name, element_type(self._element(name)), tuple(shape))
            for name, shape in self._inputs.items()
        ]
        nodes = [Node.from_message(ProtobufView(node), is_ours=False) for node in self._nodes]
        copied = sum(one.nbytes for one in self._constants.values() if not isinstance(one, Blob))
        size = (
            sum(node.ByteSize() for node in self._nodes) + copied + sum(size for _, _, size in self._places)
        )
        return OnnxFile(
            self._origin,
            nodes,
            inputs,
            outputs,
            self._constants,
            size=size,
            opset=self._opset,
            origins=self._origins(),
            keeps_axes=self._keeps_axes,
        )

    def _element(self, _: str) -> int:
        """Return ONNX' number of the element type of an input."""
        number: int = self._onnx.TensorProto.FLOAT
        return number

    def _origins(self) -> dict[str, Origin]:
        """Return the layer of each tensor's node, for builders that record the layers."""
        return {}
