"""A Caffe network as a graph of ONNX' operators, whose reader knows how images with the channels first become ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.caffe.file import CaffeFile
from mpscnn.converters.caffe.weights import Blob, Place
from mpscnn.converters.layer_names import LayerNames, shown
from mpscnn.converters.onnx_reader.external_data import ExternalData
from mpscnn.converters.onnx_reader.file import OnnxFile
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

_OPSET = 13

Shape = tuple[int, ...]


class Graph:
    """Nodes in the making. A blob that a layer changes in place gets a new name."""

    def __init__(self, file: CaffeFile) -> None:
        try:
            import onnx
        except ImportError as error:
            raise UnsupportedError('reading Caffe files needs: pip install "mpscnn[convert]"') from error
        self._onnx = onnx
        self._file = file
        self._names = LayerNames()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._places: set[tuple[str, str]] = set()
        self._current: dict[str, str] = {}
        self._read: set[str] = set()
        self.shapes: dict[str, Shape | None] = {}
        """Known shapes of tensors."""
        for name, shape in file.inputs.items():
            if not 2 <= len(shape) <= 4 or min(shape) < 1:
                raise WeightsError(f"{file.origin}: input {shown(name)} has the shape {shape}")
            self._current[name] = self._names.unique(name)
            self.shapes[name] = shape

    def has(self, blob: str) -> bool:
        """Whether there is such a blob at this point of the network."""
        return blob in self._current

    def tensor(self, blob: str) -> str:
        """The value of a blob at this point of the network."""
        if blob not in self._current:
            raise WeightsError(f"damaged: needs {shown(blob)}, which no layer before it computes")
        self._read.add(self._current[blob])
        return self._current[blob]

    def result(self, blob: str, shape: Shape | None) -> str:
        """A name for what a layer computes for a blob."""
        self._current[blob] = self._names.unique(blob)
        self.shapes[self._current[blob]] = shape
        return self._current[blob]

    def between(self, name: str, shape: Shape | None = None) -> str:
        """A name for what only the next node reads."""
        made = self._names.unique(name)
        self.shapes[made] = shape
        return made

    def constant(self, name: str, values: NDArray[Any] | Blob) -> str:
        """A constant operand. A weight that is in its file stays there."""
        made = self._names.unique(name)
        if isinstance(values, Blob) and isinstance(values.numbers, Place):
            self._constants[made] = self._reference(made, values.shape, values.numbers)
        else:
            array = values.array() if isinstance(values, Blob) else np.ascontiguousarray(values)
            self._constants[made] = self._onnx.numpy_helper.from_array(array, made)
        return made

    def _reference(self, name: str, shape: Shape, place: Place) -> onnx.TensorProto:
        """A tensor of numbers that lie in the file of weights."""
        tensor = self._onnx.TensorProto(
            name=name,
            dims=shape,
            data_type=self._onnx.helper.np_dtype_to_tensor_dtype(place.dtype.newbyteorder("=")),
            data_location=self._onnx.TensorProto.EXTERNAL,
        )
        offset, length = str(place.begin), str(place.size)
        tensor.external_data.add(key="offset", value=offset)
        tensor.external_data.add(key="length", value=length)
        self._places.add((offset, length))
        return tensor

    def node(
        self, kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Adds an operator. `kind` of no operator of ONNX' own is "caffe.Kind"."""
        domain, _, own = kind.rpartition(".")
        self._nodes.append(
            self._onnx.helper.make_node(own, inputs, outputs, name=name, domain=domain, **attributes)
        )

    def last_node(self, kind: str, output: str) -> onnx.NodeProto | None:
        """The node that computes a tensor, if it is the last one and of this kind."""
        found = self._nodes[-1] if self._nodes else None
        if found is None or found.op_type != kind or list(found.output) != [output]:
            return None
        return found

    def outputs(self) -> list[str]:
        """The tensors of blobs that no layer reads, in the order of the file."""
        ends = [name for name in dict.fromkeys(self._current.values()) if name not in self._read]
        return [name for name in ends if name not in self._file.inputs]

    def onnx_file(self, outputs: Sequence[str]) -> OnnxFile:
        """The network up to these tensors."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "caffe",
            [
                helper.make_tensor_value_info(name, kind, list(shape))
                for name, shape in self._file.inputs.items()
            ],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            list(self._constants.values()),
        )
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        size = model.ByteSize() + sum(int(length) for _, length in self._places)
        held = ExternalData(None, (self._file.weights, self._places))
        return OnnxFile(model, self._file.origin, size, held)
