"""Read ONNX files: nodes, constants, inputs and outputs. All of the content is checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.blobs import Blob, Place
from mpscnn.converters.opening.budget import max_nodes
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.opening.unsupported import prefix_errors
from mpscnn.converters.opening.wire.message import Message, open_message
from mpscnn.converters.opening.wire.protobuf_view import ProtobufView
from mpscnn.converters.reading.onnx.composed_operators import COMPOSED
from mpscnn.converters.reading.onnx.expansions import expanded
from mpscnn.converters.reading.onnx.external_data import ExternalData
from mpscnn.converters.reading.onnx.functions import Functions
from mpscnn.converters.reading.onnx.microsoft_operators import MICROSOFT
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.old_operators import FIRST_WITH_BROADCASTING, OLD
from mpscnn.converters.reading.onnx.quantized_operators import QUANTIZED, moved_as_numbers
from mpscnn.converters.reading.onnx.schema import EXTERNAL, KINDS, PRODUCER, VALUE
from mpscnn.converters.reading.onnx.tensors import decode_tensor, element_type
from mpscnn.converters.reading.onnx.topological_sort import sort_nodes
from mpscnn.converters.values.float32_intermediates import Origin
from mpscnn.converters.values.stored_integers import StoredIntegers
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 1
EXPANSIONS = {**COMPOSED, **MICROSOFT, **QUANTIZED}
"""The functions that write the standard operators of an operator that is replaced."""

NODE_BYTES = 100
"""The bytes that a node of a graph which is built in memory counts as, for the limits of the conversion."""

_MAX_RANK = 64
# The maximum number of nodes, inputs, outputs, weights and described tensors of a graph.
_MAX_PARTS = 100_000
# The maximum number of nodes that change a constant's type or shape in files that mpscnn wrote.
_MAX_CHANGES = 16

_TRAINING = "its graphs for training are left out"

Dimension = int | None
# The fields of a type, of which one is stated.
_TYPES = (
    "tensor_type",
    "sequence_type",
    "map_type",
    "optional_type",
    "sparse_tensor_type",
    "opaque_type",
)


@dataclass(frozen=True)
class Described:
    """The file's description of a tensor."""

    name: str
    type: str  # "float", "float16", "int64", ... for tensors; "sequence", ... for other values
    shape: tuple[Dimension, ...] | None
    names: tuple[str, ...] = ()
    """The names of the extents, which are empty for those without a name."""
    rank: int | None = None
    """The number of axes that the file states. The shape of a tensor of very many axes is None."""


class OnnxFile:
    """A graph of ONNX' operators: that of a file, or one that was built in memory.

    Args:
        origin: the name of the file, for messages.
        nodes: the operators in any order.
        inputs: the descriptions of the inputs.
        outputs: the names of the outputs.
        tensors: the weights by name: arrays, parts of files or messages.
        size: the size of the file in bytes. It limits the memory and work of the conversion.
        opset: the version of the operators.
        stated: returns the descriptions of tensors that the graph states; None: it states none.
        external: reads tensors that are not in the message; None: there are none.
        origins: for a graph that was made of a file of another format, the layer of each tensor's node.
        keeps_axes: whether inputs and outputs have the same order of axes in the network as in the graph, as in formats
            with the channels last. Otherwise images are (n, channels, height, width), as in ONNX.
        metadata: the texts of the file's metadata by key.
        is_ours: whether mpscnn has written the file.
        notes: sentences for the user about what the file has and the graph lacks.
        grows: whether nodes are still added, so that it is not known what will read a result.
        integers: the integers of weights that a reader of another format has decompressed, by name. That reader may add
            some later.

    Attributes:
        nodes: the operators in topological order.
    """

    def __init__(
        self,
        origin: str,
        nodes: Sequence[Node],
        inputs: Sequence[Described],
        outputs: Sequence[str],
        tensors: Mapping[str, Any],
        *,
        size: int,
        opset: int,
        stated: Callable[[], Iterable[Described]] | None = None,
        external: ExternalData | None = None,
        origins: Mapping[str, Origin] | None = None,
        keeps_axes: bool = False,
        metadata: Mapping[str, str] | None = None,
        is_ours: bool = False,
        notes: Sequence[str] = (),
        grows: bool = False,
        integers: Mapping[str, StoredIntegers] | None = None,
    ) -> None:
        self.origin = origin
        self.grows = grows
        self.notes = list(notes)
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.tensors = tensors
        self.size = size
        self.opset = opset
        self.origins = origins or {}
        self.keeps_axes = keeps_axes
        self.metadata = dict(metadata or {})
        self._stated = stated
        self._external = external or ExternalData(None)
        self._is_ours = is_ours
        self.integers = {} if integers is None else integers
        known = {"", *tensors, *(described.name for described in inputs)}
        self.nodes = sort_nodes(nodes, known, origin)
        self._check_outputs(known)

    @cached_property
    def stated(self) -> dict[str, Described]:
        """The file's descriptions of tensors between its layers."""
        return {one.name: one for one in self._stated()} if self._stated is not None else {}

    @cached_property
    def positions(self) -> dict[int, int]:
        """The index of each node in `nodes`, by its id()."""
        return {id(node): place for place, node in enumerate(self.nodes)}

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of the graph's nodes."""
        return frozenset(node.kind for node in self.nodes)

    @cached_property
    def users(self) -> dict[str, list[Node]]:
        """The nodes that read a tensor, in order, by the tensor's name."""
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in set(node.inputs):
                users.setdefault(name, []).append(node)
        return users

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The node that computes a tensor, by the tensor's name."""
        return {name: node for node in self.nodes for name in node.outputs}

    def layer_of(self, name: str) -> str:
        """Return the layer's name for a tensor: the tensor's name, or in files that mpscnn wrote, the stated layer."""
        return self.makers[name].layer if self._is_ours and name in self.makers else name

    def constant_of(self, name: str) -> str:
        """Return the name that the network's layer of a constant gets.

        In files that mpscnn wrote, nodes that change a type or shape may stand between the stored constant and
        its reader. They are followed back to the stored constant.
        """
        if not self._is_ours:
            return name
        stored = name
        for _ in range(_MAX_CHANGES):
            if (maker := self.makers.get(stored)) and maker.inputs:
                stored = maker.inputs[0]
        return stored.removesuffix(VALUE) if stored in self.tensors else name

    @cached_property
    def bytes_with_external(self) -> int:
        """Return the size in bytes of this file and its files with external data."""
        return self.size + sum(path.stat().st_size for path in self.external_files())

    def stored_shape(self, name: str | None) -> tuple[int, ...] | None:
        """Return the shape of a weight, which operators that keep shapes may have changed; None if it is not stored."""
        for _ in range(_MAX_CHANGES):
            maker = self.makers.get(name or "")
            if (
                maker is None
                or maker.kind not in ("Cast", "DequantizeLinear", "Identity")
                or not maker.inputs
            ):
                break
            name = maker.inputs[0]
        tensor = self.tensors.get(name or "")
        if tensor is None:
            return None
        return tuple(tensor.shape if isinstance(tensor, (np.ndarray, Blob)) else tensor.dims)

    def array(self, tensor: Any) -> NDArray[Any]:
        """Return a weight, or the message of a tensor, as an array. Raises WeightsError if it is damaged."""
        if isinstance(tensor, Blob):
            return _array_of(tensor)
        if isinstance(tensor, np.ndarray):
            return tensor
        where = f"{self.origin}: tensor {quote_name(tensor.name)}"
        if tensor.data_location == EXTERNAL:
            return self._external.array(tensor, where)
        shape = tuple(tensor.dims)
        try:
            return decode_tensor(tensor)
        except ValueError as error:
            kind = element_type(tensor.data_type)
            raise WeightsError(
                f"damaged: {where}: its bytes are not those of {kind} of the shape {shape[:_MAX_RANK]}"
            ) from error

    def external_files(self) -> list[Path]:
        """Return the files with external data. Raises WeightsError for a file outside of this file's folder."""
        return sorted(
            {
                self._external.path(tensor, f"{self.origin}: tensor {quote_name(name)}")
                for name, tensor in self.tensors.items()
                if not isinstance(tensor, (np.ndarray, Blob)) and tensor.data_location == EXTERNAL
            }
        )

    def _check_outputs(self, known: Set[str]) -> None:
        if not self.outputs:
            raise WeightsError(f"damaged: {self.origin}: it has no outputs")
        made = {name for node in self.nodes for name in node.outputs}
        for name in self.outputs:
            if name not in known and name not in made:
                raise WeightsError(
                    f"damaged: {self.origin}: its output {quote_name(name)} is computed by no node"
                )


def read_onnx(path: Path) -> OnnxFile:
    """Read an ONNX file.

    Raises WeightsError for a missing or damaged file. Raises UnsupportedError if the opset is too old, or if the graph
    has too many parts, functions or sparse weights.
    """
    origin = os.fspath(path)
    model = open_message(KINDS["Model"], FileBytes(path))
    try:
        has_graph = model.has("graph") and model.count("opset_import")
    except WeightsError as error:
        raise WeightsError(f"{origin}: is not an ONNX file: {error}") from error
    if not has_graph:
        raise WeightsError(f"damaged: {origin}: is not an ONNX file: it holds no graph, or states no opset")
    with prefix_errors(origin):
        return file_from_model(model, origin, ExternalData(path))


def file_from_model(
    model: onnx.ModelProto | Message, origin: str, external: ExternalData | None = None
) -> OnnxFile:
    """Return the graph of an ONNX model.

    Args:
        model: the model, as a message of the package onnx or of a file.
        origin: the name of the model in messages.
        external: reads tensors that are not in the message; None: all tensors are in the message.
    """
    read: Any = model if isinstance(model, Message) else ProtobufView(model)
    size = read.encoded_size()
    opsets = _opsets(read, origin)
    graph = read.graph
    _check_counts(graph, origin)
    is_ours = read.producer_name == PRODUCER
    functions = Functions(read, opsets, origin, max_nodes(size))
    nodes = functions.inlined(Node.from_message(node, is_ours=is_ours) for node in graph.node)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [info.name for info in graph.input]
    nodes = _with_standard_operators(
        nodes, tensors, {"", *tensors, *inputs}, opsets[""], origin, max_nodes(size)
    )
    stated = [*graph.input, *graph.value_info, *graph.output]
    return OnnxFile(
        origin,
        nodes,
        # Old files list their weights among the inputs, too.
        [_described(info) for info in graph.input if info.name not in tensors],
        [info.name for info in graph.output],
        tensors,
        size=size,
        opset=opsets[""],
        stated=lambda: map(_described, stated),
        external=external,
        metadata={entry.key: entry.value for entry in read.metadata_props},
        is_ours=is_ours,
        notes=[_TRAINING] if read.count("training_info") else [],
    )


def _with_standard_operators(
    nodes: Sequence[Node],
    tensors: Mapping[str, Any],
    known: Set[str],
    opset: int,
    origin: str,
    maximum: int,
) -> list[Node]:
    """Return the nodes, with operators that ONNX lacks, or had in old opsets, replaced by its present ones.

    Raises UnsupportedError if they stand for more than `maximum` others.
    """
    rows = EXPANSIONS if opset >= FIRST_WITH_BROADCASTING else {**EXPANSIONS, **OLD}
    made = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    names = LayerNames()
    names.take(made | known)
    if any(node.kind in rows for node in nodes):
        with prefix_errors(origin):
            nodes = expanded(nodes, rows, names, maximum)
    if any(node.kind == "QuantizeLinear" for node in nodes):
        single = {name for name, tensor in tensors.items() if all(one == 1 for one in tensor.dims)}
        nodes = moved_as_numbers(sort_nodes(nodes, known, origin), names, single)
    return list(nodes)


# ---- Parts of the format -------------------------------------------------------------------------------------------


def _opsets(model: Any, origin: str) -> dict[str, int]:
    """Return the versions of the operators that a model uses, by domain. Raises UnsupportedError for old ones."""
    opsets = {
        entry.domain if entry.domain != "ai.onnx" else "": entry.version for entry in model.opset_import
    }
    if opsets.setdefault("", 0) < OLDEST_OPSET:
        raise UnsupportedError(
            f"{origin}: it states no opset of ONNX' own operators, of which {OLDEST_OPSET} and later are supported"
        )
    return opsets


def _check_counts(graph: Any, origin: str) -> None:
    """Raise UnsupportedError for a graph with too many parts, or with sparse weights."""
    for what in ("node", "input", "output", "initializer", "value_info"):
        count = graph.count(what)
        if count > _MAX_PARTS:
            raise UnsupportedError(
                f"{origin}: its graph has {count} parts of the kind {what}; at most {_MAX_PARTS} are supported"
            )
    if graph.count("sparse_initializer"):
        raise UnsupportedError(f"{origin}: its weights are sparse, which is not supported")


def _array_of(weight: Blob) -> NDArray[Any]:
    """Return a weight in the type that it has in its file."""
    if not isinstance(weight.numbers, Place):
        return weight.array()
    place = weight.numbers
    stored = np.frombuffer(place.content.read(place.begin, place.size), place.dtype)
    return stored.astype(place.dtype.newbyteorder("="), copy=False).reshape(weight.shape)


def _described(info: Any) -> Described:
    kind = next(filter(info.type.has, _TYPES), None)
    if kind != "tensor_type":
        return Described(info.name, (kind or "unknown").removesuffix("_type"), None)
    tensor = info.type.tensor_type
    shape: tuple[Dimension, ...] | None = None
    names: tuple[str, ...] = ()
    rank = tensor.shape.count("dim") if tensor.has("shape") else None
    if rank is not None and rank <= _MAX_RANK:
        names = tuple(extent.dim_param for extent in tensor.shape.dim)
        shape = tuple(
            extent.dim_value if extent.has("dim_value") and extent.dim_value >= 0 else None
            for extent in tensor.shape.dim
        )
    return Described(info.name, element_type(tensor.elem_type), shape, names, rank)
