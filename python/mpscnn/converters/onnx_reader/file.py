"""Read ONNX files: nodes, constants, inputs and outputs. All of the content is checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors, require_regular
from mpscnn.converters.budget import max_nodes
from mpscnn.converters.float32_intermediates import Origin
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.message_memory import check_memory
from mpscnn.converters.named_errors import prefix_errors
from mpscnn.converters.onnx_reader.external_data import ExternalData
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.skipped_weights import TENSORS, data_position
from mpscnn.converters.onnx_reader.topological_sort import sort_nodes
from mpscnn.converters.onnx_writer.builder import PRODUCER, VALUE
from mpscnn.converters.skipped_bytes import SkippedData
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 7
_MAX_FILE = 2**31 - 1  # the limit of protobuf
_MAX_RANK = 64
# The maximum number of nodes, inputs, outputs, weights and described tensors of a graph.
_MAX_PARTS = 100_000
# The maximum number of nodes that change a constant's type or shape in files that mpscnn wrote.
_MAX_CHANGES = 16

Dimension = int | None


@dataclass(frozen=True)
class Described:
    """The file's description of a tensor."""

    name: str
    type: str  # "float", "float16", "int64", ... for tensors; "sequence", ... for other values
    shape: tuple[Dimension, ...] | None


class OnnxFile:
    """The graph of an ONNX file. Its nodes are in topological order.

    Args:
        model: the parsed file.
        origin: the name of the file, for messages.
        size: the size of the file in bytes. It limits the memory and work of the conversion.
        external: reads tensors that are not in the message.
        origins: for a graph that was made of a file of another format, the layer of each tensor's node.
        keeps_axes: whether inputs and outputs have the same order of axes in the network as in the graph, as in formats
            with the channels last. Otherwise images are (n, channels, height, width), as in ONNX.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        origin: str,
        size: int,
        external: ExternalData,
        origins: Mapping[str, Origin] | None = None,
        *,
        keeps_axes: bool = False,
    ) -> None:
        self.origin = origin
        self.keeps_axes = keeps_axes
        self.size = size
        self.origins = origins or {}
        self._external = external
        self.opsets = {
            entry.domain if entry.domain != "ai.onnx" else "": entry.version for entry in model.opset_import
        }
        self.opset = self.opsets.get("", 0)
        if self.opset < OLDEST_OPSET:
            raise UnsupportedError(
                f"{origin}: it is of opset {self.opset}; supported are {OLDEST_OPSET} and later. The package onnx "
                "converts it (onnx.version_converter)"
            )
        graph = model.graph
        for what in ("node", "input", "output", "initializer", "value_info"):
            count = len(getattr(graph, what))
            if count > _MAX_PARTS:
                raise UnsupportedError(
                    f"{origin}: its graph has {count} parts of the kind {what}; at most {_MAX_PARTS} are supported"
                )
        self._is_ours = model.producer_name == PRODUCER
        nodes = [Node(node, is_ours=self._is_ours) for node in graph.node]
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        if graph.sparse_initializer:
            raise UnsupportedError(f"{origin}: its weights are sparse, which is not supported")
        # Old files list their weights among the inputs, too.
        self.inputs = [_described(info) for info in graph.input if info.name not in self.tensors]
        self.outputs: list[str] = [info.name for info in graph.output]
        self.metadata: dict[str, str] = {entry.key: entry.value for entry in model.metadata_props}
        self._stated = [*graph.input, *graph.value_info, *graph.output]
        known = {"", *self.tensors, *(described.name for described in self.inputs)}
        self.nodes = sort_nodes(nodes, known, origin)
        self._check_outputs(known)

    @cached_property
    def stated(self) -> dict[str, Described]:
        """The file's descriptions of tensors between its layers."""
        return {info.name: _described(info) for info in self._stated}

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

    def array(self, tensor: onnx.TensorProto) -> NDArray[Any]:
        """Return a tensor as an array. Raises WeightsError if the tensor is damaged."""
        import onnx

        where = f"{self.origin}: tensor {quote_name(tensor.name)}"
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return self._external.array(tensor, where)
        shape = tuple(tensor.dims)
        try:
            array = np.asarray(onnx.numpy_helper.to_array(tensor))
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            kind = element_type(tensor.data_type)
            raise WeightsError(
                f"damaged: {where}: its bytes are not those of {kind} of the shape {shape[:_MAX_RANK]}"
            ) from error
        if array.shape != shape:  # numpy replaces a negative extent by the right one
            raise WeightsError(f"damaged: {where}: its shape is {shape[:_MAX_RANK]}")
        return array

    def external_files(self) -> list[Path]:
        """Return the files with external data. Raises WeightsError for a file outside of this file's folder."""
        import onnx

        outside = onnx.TensorProto.EXTERNAL
        return sorted(
            {
                self._external.path(tensor, f"{self.origin}: tensor {quote_name(name)}")
                for name, tensor in self.tensors.items()
                if tensor.data_location == outside and not self._external.is_own(tensor)
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

    Raises WeightsError for a missing or damaged file. Raises UnsupportedError if the package `onnx` is not installed,
    if the opset is too old, if the graph has too many parts, functions or sparse weights, or if the file's message
    would take far more memory than the file's size.
    """
    onnx = _package()
    origin = os.fspath(path)
    with convert_read_errors(path, WeightsError):
        size = path.stat().st_size
    if size > _MAX_FILE:
        raise WeightsError(f"{origin}: it has {size} bytes; ONNX files have at most {_MAX_FILE}")
    try:
        with convert_read_errors(path, WeightsError):
            require_regular(path, WeightsError)
            stream = path.open("rb")
        with stream:
            own = SkippedData(stream, size, TENSORS)
        with prefix_errors(origin):
            check_memory(onnx.ModelProto.DESCRIPTOR, own.message, size)
        model = onnx.load_model_from_string(own.message)
    except (import_module("google.protobuf.message").DecodeError, ValueError, RecursionError) as error:
        raise WeightsError(f"damaged: {origin}: is not an ONNX file: {error}") from error
    if not model.HasField("graph") or not model.opset_import:
        raise WeightsError(f"damaged: {origin}: is not an ONNX file: it holds no graph, or states no opset")
    places = set(map(data_position, own.left_out))
    return file_from_model(model, origin, size, ExternalData(path, (path, places)))


def file_from_model(
    model: onnx.ModelProto, origin: str, size: int | None = None, external: ExternalData | None = None
) -> OnnxFile:
    """Return the graph of an ONNX model in memory.

    Args:
        model: the model.
        origin: the name of the model in messages.
        size: the size of its file in bytes; None: the size of the file to which it would be saved.
        external: reads tensors that are not in the message; None: all tensors are in the message.
    """
    size = model.ByteSize() if size is None else size
    if model.functions:
        model = _without_functions(model, origin, max_nodes(size))
    return OnnxFile(model, origin, size, external or ExternalData(None))


# ---- Functions -----------------------------------------------------------------------------------------------------


def _without_functions(model: onnx.ModelProto, origin: str, maximum: int) -> onnx.ModelProto:
    """Return the model with its functions inlined. Raises an error if that makes more than `maximum` nodes."""
    import onnx

    try:
        from onnx import inliner
    except ImportError as error:
        raise UnsupportedError(
            f"{origin}: it has functions, which need a newer package onnx (1.15): {error}"
        ) from error
    bodies = {
        (function.domain, function.name): [(node.domain, node.op_type) for node in function.node]
        for function in model.functions
    }
    counts: dict[tuple[str, str], int] = {}
    for key in bodies:
        _count_nodes(key, bodies, counts, origin)
    calls = (counts.get((node.domain, node.op_type)) for node in model.graph.node)
    total = sum(count for count in calls if count is not None)
    if total > maximum:
        raise UnsupportedError(
            f"{origin}: its functions make {total} nodes or more; supported are {maximum} for a file of its size"
        )
    try:
        inlined: onnx.ModelProto = inliner.inline_local_functions(model)
    except onnx.checker.ValidationError as error:  # it has more functions than the package onnx supports
        raise UnsupportedError(f"{origin}: its functions are not supported: {error}") from error
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"damaged: {origin}: its functions: {error}") from error
    return inlined


def _count_nodes(
    wanted: tuple[str, str],
    bodies: Mapping[tuple[str, str], Sequence[tuple[str, str]]],
    counts: dict[tuple[str, str], int],
    origin: str,
) -> None:
    """Count the nodes that a function expands to, and put the number into `counts`.

    Raises WeightsError for a function that calls itself.
    """
    waiting, open_calls = [(wanted, False)], set()
    while waiting:
        key, inner_done = waiting.pop()
        if key in counts or key not in bodies:
            continue
        if inner_done:
            # The number is limited, because nested calls can make it grow exponentially.
            counts[key] = min(sum(counts.get(call, 1) for call in bodies[key]), _MAX_FILE)
            open_calls.discard(key)
            continue
        if key in open_calls:
            raise WeightsError(f"damaged: {origin}: function {quote_name(key[1])} calls itself")
        open_calls.add(key)
        waiting.append((key, True))
        waiting += [(call, False) for call in bodies[key]]


# ---- Parts of the format -------------------------------------------------------------------------------------------


def _package() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise UnsupportedError(
            f'reading ONNX files needs: pip install "mpscnn[convert]" ({error})'
        ) from error
    return onnx


def _described(info: onnx.ValueInfoProto) -> Described:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return Described(info.name, (kind or "unknown").removesuffix("_type"), None)
    tensor = info.type.tensor_type
    shape: tuple[Dimension, ...] | None = None
    if tensor.HasField("shape") and len(tensor.shape.dim) <= _MAX_RANK:
        shape = tuple(
            extent.dim_value if extent.HasField("dim_value") and extent.dim_value >= 0 else None
            for extent in tensor.shape.dim
        )
    return Described(info.name, element_type(tensor.elem_type), shape)


def element_type(number: int) -> str:
    """Return ONNX' name, in lower case, of an element type."""
    import onnx

    names: dict[int, str] = {value: name.lower() for name, value in onnx.TensorProto.DataType.items()}
    return names.get(number, f"type {number}")


def type_of_elements(array: NDArray[Any]) -> str:
    """Return ONNX' name, in lower case, of an array's element type."""
    import onnx

    return element_type(onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
