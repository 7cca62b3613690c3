"""Build a graph of ONNX operators, with the inferred shape of each tensor, for readers of other formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.blobs import Blob
from mpscnn.converters.float32_intermediates import Origin
from mpscnn.converters.onnx_graph import CAST_OF_FLOATS, Graph
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

OPSET = 20
FLOAT, INT64, BOOL = 1, 7, 9
"""ONNX' numbers of element types."""

Extents = tuple[int | None, ...]
_MAX_EXTENT = 2**31 - 1
# Constants with at most this many integers may be shapes, so shape inference gets their values.
_SMALL = 1024


class Builder(Graph):
    """Adds the operators of one layer after the other.

    Args:
        origin: the name of the model's file, for messages.
        inputs: the shapes of the inputs by name; None stands for a free extent.
        needed_for, extra: the kind of files and the extra of mpscnn, for the error if the package onnx is missing.
        size: a function that returns the bytes of the network's files, which limit the constants in the graph.
        whole: the names of the inputs that are whole numbers, such as the indices of an embedding.
        keeps_axes: as for `OnnxFile`.
    """

    def __init__(
        self,
        origin: str,
        inputs: Mapping[str, Extents],
        *,
        needed_for: str,
        extra: str,
        size: Callable[[], int],
        whole: Collection[str] = (),
        keeps_axes: bool = False,
    ) -> None:
        super().__init__(origin, inputs, needed_for, extra, OPSET, size, keeps_axes=keeps_axes)
        self._types: dict[str, onnx.TypeProto] = {}
        self._small: dict[str, NDArray[Any]] = {}
        self._makers: dict[str, onnx.NodeProto] = {}  # the operators by the tensors that they compute
        self._layer = ""
        self._first = 0
        self._layers: list[list[onnx.NodeProto]] = []
        self._float32: set[int] = set()  # the numbers of layers that stay in float32
        for name, extents in inputs.items():
            self._types[self._current[name]] = self._type(INT64 if name in whole else FLOAT, extents)

    # ---- Layers ----------------------------------------------------------------------------------------------------

    def begin(self, layer: str) -> None:
        """Begin a layer: operators that are added from now on belong to it."""
        self._layers.append(self._nodes[self._first :])
        self._layer = layer
        self._first = len(self._nodes)

    def keep_float32(self) -> None:
        """Keep the layer that was begun last in float32 when the network runs in float16."""
        self._float32.add(len(self._layers))

    def end(self, results: Mapping[str, str]) -> None:
        """End a layer. `results` has the tensors that become the values of blobs, by blob.

        The operator that computes a tensor gets the layer's name. If this operator is a cast, the operator before it
        gets the name, because a cast does not become a layer.
        """
        own = self._nodes[self._first :]
        makers = {name: node for node in own for name in node.output}
        renamed: dict[str, str] = {}
        for blob, tensor in results.items():
            made = self._names.unique(blob)
            node = makers.get(tensor)
            if node is None or tensor in renamed:  # one of the layer's inputs, or the value of another blob
                self._current[blob] = renamed.get(tensor, tensor)
                continue
            named = makers.get(node.input[0], node) if node.op_type == "Cast" else node
            named.name = self._layer if len(node.output) == 1 else f"{self._layer}/{node.op_type.lower()}"
            self._types[made] = self._types.pop(tensor)
            self._current[blob] = renamed[tensor] = made
        for node in own:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name in renamed:
                        names[place] = renamed[name]
        self._makers |= {made: makers[tensor] for tensor, made in renamed.items()}

    def _element(self, name: str) -> int:
        return int(self._types[name].tensor_type.elem_type)

    def _origins(self) -> dict[str, Origin]:
        held = set(self._current.values())
        origins: dict[str, Origin] = {}
        for layer, nodes in enumerate([*self._layers, self._nodes[self._first :]]):
            made = [name for node in nodes for name in node.output]
            origin = Origin(layer, frozenset(held.intersection(made)), layer in self._float32)
            origins |= dict.fromkeys(made, origin)
        return origins

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one result and return the result's name."""
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(self, kind: str, inputs: Sequence[str], results: int, **attributes: Any) -> list[str]:
        """Add an operator and return the names of its results."""
        name = f"{self._layer}/{kind.lower()}"
        made = [self._names.unique(name) for _ in range(results)]
        self.node(kind, made[0], inputs, made, **attributes)
        self._makers |= dict.fromkeys(made, self._nodes[-1])
        self._infer(self._nodes[-1])
        return made

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the operator that computes a tensor; None for inputs and constants."""
        return self._makers.get(tensor)

    # ---- Shapes ----------------------------------------------------------------------------------------------------

    def extents(self, tensor: str) -> Extents:
        """Return the shape of a tensor. Raises UnsupportedError if its rank is not known."""
        kind = self._types.get(tensor)
        if kind is None or not kind.tensor_type.HasField("shape"):
            raise UnsupportedError("the shape of its input is not known")
        return tuple(
            dim.dim_value if dim.HasField("dim_value") else None for dim in kind.tensor_type.shape.dim
        )

    def fixed_shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a tensor whose extents must be known, except that a free batch counts as 1."""
        extents = self.extents(tensor)
        if None in extents[1:]:
            raise UnsupportedError(f"needs to know the size of its input, which is free: {CHOOSE_SIZE}")
        return tuple(1 if extent is None else extent for extent in extents)

    @property
    def has_free_size(self) -> bool:
        """True if an input has free extents other than the batch."""
        return any(None in extents[1:] for extents in self._inputs.values())

    def rank(self, tensor: str) -> int:
        """Return the number of axes of a tensor."""
        return len(self.extents(tensor))

    def is_integer(self, tensor: str) -> bool:
        """Return True if a tensor has whole numbers."""
        kind = self._types.get(tensor)
        return kind is not None and kind.tensor_type.elem_type == INT64

    def is_boolean(self, tensor: str) -> bool:
        """Return True if a tensor has truth values."""
        kind = self._types.get(tensor)
        return kind is not None and kind.tensor_type.elem_type == BOOL

    def set_shape(self, tensor: str, extents: Extents, *, overrule: bool = False) -> None:
        """Set the shape of a tensor that the file states, if it was not inferred. With `overrule` it is always set."""
        kind = self._types.get(tensor)
        if overrule or kind is None or not kind.tensor_type.HasField("shape"):
            element = FLOAT if kind is None else kind.tensor_type.elem_type or FLOAT
            self._types[tensor] = self._type(element, extents)

    def axis(self, tensor: str, axis: int) -> int:
        """Return the number of an axis counted from the front. Raises WeightsError if there is no such axis."""
        rank = self.rank(tensor)
        if not -rank <= axis < rank:
            raise WeightsError(f"damaged: axis {axis} of {rank}")
        return axis % rank

    def _type(self, element: int, extents: Extents) -> onnx.TypeProto:
        kind: onnx.TypeProto = self._onnx.helper.make_tensor_type_proto(element, list(extents))
        return kind

    def _infer(self, node: onnx.NodeProto) -> None:
        onnx = self._onnx
        types = {name: self._types[name] for name in node.input if name in self._types}
        if len(types) != len({name for name in node.input if name}) or node.domain:
            return
        data = {
            name: onnx.numpy_helper.from_array(self._small[name], name)
            for name in node.input
            if name in self._small
        }
        try:
            schema = onnx.defs.get_schema(node.op_type, OPSET, node.domain)
            found = onnx.shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=[onnx.helper.make_opsetid("", OPSET)]
            )
        except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError) as error:
            raise WeightsError("damaged: its inputs, settings and weights do not fit each other") from error
        for name, kind in found.items():
            extents = [dim.dim_value for dim in kind.tensor_type.shape.dim if dim.HasField("dim_value")]
            if any(not 0 < extent <= _MAX_EXTENT for extent in extents):
                raise WeightsError(f"damaged: its result would have the extents {extents}")
            self._types[name] = kind

    # ---- Constants -------------------------------------------------------------------------------------------------

    def weight(self, role: str, values: NDArray[Any] | Blob) -> str:
        """Add a constant operand for the layer and return its name."""
        name = self.constant(f"{self._layer}/{role}", values)
        whole = not isinstance(values, Blob) and values.dtype.kind in "iu"
        truth = not isinstance(values, Blob) and values.dtype.kind == "b"
        self._types[name] = self._type(INT64 if whole else BOOL if truth else FLOAT, tuple(values.shape))
        if whole and not isinstance(values, Blob) and values.size <= _SMALL:
            self._small[name] = np.asarray(values)
        return name

    def number(self, value: float) -> str:
        """Add a number as a constant operand and return its name."""
        return self.weight("number", np.asarray(value, np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Add a list of integers as a constant operand and return its name."""
        return self.weight("integers", np.asarray(values, np.int64))

    def cast_to_float(self, tensor: str) -> str:
        """Add a layer that rounds a tensor in float16 networks; with `keep_float32` it leaves the tensor unchanged."""
        made = self.op(CAST_OF_FLOATS, tensor)
        if tensor in self._types:
            self._types[made] = self._types[tensor]
        return made

    # ---- Common operators ------------------------------------------------------------------------------------------

    def reshape(self, tensor: str, extents: Sequence[int]) -> str:
        """Reshape a tensor. An extent of 0 is kept from the same axis, and -1 is inferred."""
        return self.op("Reshape", tensor, self.integers(extents))

    def linear(self, tensor: str, factor: float, offset: float) -> str:
        """Return tensor * factor + offset."""
        if factor != 1.0:
            tensor = self.op("Mul", tensor, self.number(factor))
        return self.op("Add", tensor, self.number(offset)) if offset else tensor
