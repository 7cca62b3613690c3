"""Build a graph in memory, each of whose operators is converted at once, for readers of other formats than ONNX."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.blobs import Blob, Place
from mpscnn.converters.opening.broadcast_views import is_filled
from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.values import Extents, Values
from mpscnn.converters.reading.onnx.file import Described
from mpscnn.converters.reading.onnx.reader import convert
from mpscnn.converters.reading.onnx.tensors import BOOL, FLOAT, INT64
from mpscnn.converters.values.float32_intermediates import Origin
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network

__all__ = ["BOOL", "FLOAT", "INT64", "Builder", "Extents"]

# The allowed elements of copied constants for each byte of the file. A byte may hold eight indices of one bit.
_ELEMENTS_PER_BYTE = 8
# The maximum number of elements of a constant that repeats one number.
_MAX_REPEATED = 4_096
# The operators of a layer count as work if they are more than this.
_FEW_OPERATORS = 4


class Builder(Values):
    """Adds the operators of one layer after the other to a graph.

    Layers read and write blobs, which are named values as in Caffe. A layer may overwrite a blob; the result then gets
    a new name in the graph.

    Args:
        origin: the name of the model's file, for messages.
        inputs: the shapes of the inputs by name; None stands for a free extent.
        name: the name of the network.
        size: a function that returns the bytes of the network's files, which limit the constants in the graph.
        whole: the names of the inputs that are whole numbers, such as the indices of an embedding.
        keeps_axes: as for `OnnxFile`.

    Raises UnsupportedError for an input whose shape is not supported.
    """

    def __init__(
        self,
        origin: str,
        inputs: Mapping[str, Extents],
        *,
        name: str,
        size: Callable[[], int],
        whole: Collection[str] = (),
        keeps_axes: bool = False,
    ) -> None:
        self.budget = Budget(size, elements_per_byte=_ELEMENTS_PER_BYTE)
        self._current = {name: name for name in inputs}  # the tensor of each blob
        self._read: set[str] = set()
        self._results: dict[str, str] = {}  # the names of tensors that are results of layers
        self._first = 0
        described = [
            Described(name, "int64" if name in whole else "float", tuple(extents))
            for name, extents in inputs.items()
        ]
        super().__init__(origin, name, described, size, keeps_axes=keeps_axes)

    # ---- Layers ----------------------------------------------------------------------------------------------------

    def begin(self, layer: str) -> None:
        """Begin a layer: operators that are added from now on belong to it."""
        self._of_layer = Origin()
        self.layer = layer
        self._first = len(self._nodes)

    def keep_float32(self) -> None:
        """Keep the layer that was begun last in float32 when the network runs in float16."""
        self._of_layer.float32 = True

    def end(self, results: Mapping[str, str]) -> None:
        """End a layer. `results` has the tensors that become the values of blobs, by blob.

        The operator that computes a tensor gets the layer's name. If this operator is a cast, or moves the axes of a
        norm back, the operator before it gets the name, because such an operator does not become a layer.

        Raises UnsupportedError if layers of many operators take more work than a file of this size may.
        """
        count = len(self._nodes) - self._first
        if count > _FEW_OPERATORS:
            self.budget.spend(Cost.of_layers(count))
        makers = {name: node for node in self._nodes[self._first :] for name in node.outputs}
        for blob, tensor in results.items():
            made = self._names.unique(blob)
            node = makers.get(tensor)
            self._current[blob] = tensor
            if (
                node is None or tensor in self._results
            ):  # one of the layer's inputs, or the value of another blob
                continue
            before = node
            if ops.added_by(node, ops.cast, ops.transpose):
                before = makers.get(node.inputs[0], node)
            moves = ops.added_by(node, ops.transpose) and not ops.added_by(before, ops.layer_norm)
            named = node if moves else before
            named.name = self.layer if len(node.outputs) == 1 else f"{self.layer}/{node.kind.lower()}"
            named.layer = named.name
            self._results[tensor] = made

    # ---- Blobs -----------------------------------------------------------------------------------------------------

    def has(self, blob: str) -> bool:
        """Return True if there is such a blob at this point of the network."""
        return blob in self._current

    def tensor(self, blob: str) -> str:
        """Return the name of the tensor that a blob holds at this point of the network."""
        if blob not in self._current:
            raise WeightsError(f"damaged: needs {quote_name(blob)}, which no layer before it computes")
        self._read.add(self._current[blob])
        return self._current[blob]

    def ends(self) -> list[str]:
        """Return the blobs that no layer reads, in the order of the file."""
        return [
            blob
            for blob, name in self._current.items()
            if name not in self._read and name not in {one.name for one in self._inputs}
        ]

    @property
    def has_free_size(self) -> bool:
        """True if an input has free extents other than the batch."""
        return any(None in (one.shape or ())[1:] for one in self._inputs)

    # ---- Constants -------------------------------------------------------------------------------------------------

    def weight(self, role: str, values: NDArray[Any] | Blob) -> str:
        """Add a constant operand for the layer and return its name.

        A weight in a file is not copied: the graph refers to the file. A broadcast view of one number becomes an
        operator, so that the number is not repeated. Raises UnsupportedError if copied constants take far more than the
        file's size.
        """
        made = f"{self.layer}/{role}"
        if isinstance(values, Blob):
            if isinstance(values.numbers, Place):
                made = self._names.unique(made)
                self._constants[made] = values
                return made
            values = values.array()
        if is_filled(values) and values.size > _MAX_REPEATED:
            made = self._names.unique(made)
            shape = super().constant(np.asarray(values.shape, np.int64), f"{made}/shape")
            return ops.filled(self, shape, made, value=values[(slice(0, 1),) * values.ndim].reshape(1))
        return self.constant(np.array(values), made)

    def constant(self, array: NDArray[Any], name: str = "constant") -> str:
        """Add a constant and return its name. Raises the errors of `weight`."""
        self.budget.spend(Cost(array.size, array.size))
        return super().constant(array, name)

    # ---- Common operators ------------------------------------------------------------------------------------------

    def linear(self, tensor: str, factor: float, offset: float) -> str:
        """Return tensor * factor + offset."""
        if factor != 1.0:
            tensor = ops.multiply(self, tensor, factor)
        return ops.add(self, tensor, offset) if offset else tensor

    # ---- The graph -------------------------------------------------------------------------------------------------

    def network(self, outputs: Sequence[str], options: ReadOptions) -> Network:
        """Return the network that computes these tensors. Nothing can be added after that."""
        for name in self._origins.keys() & self._current.values():
            self._origins[name].results.update([name, self._results.get(name, name)])
        for node in self._nodes:
            node.inputs = [self._results.get(name, name) for name in node.inputs]
            node.outputs = [self._results.get(name, name) for name in node.outputs]
        origins = {self._results.get(name, name): origin for name, origin in self._origins.items()}
        file = self._file([self._results.get(name, name) for name in outputs], origins=origins)
        return convert(file, options, self._converted(file, self._results))
