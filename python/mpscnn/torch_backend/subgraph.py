"""Convert a part of a PyTorch graph to a network that takes and returns tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from mpscnn._private.literals import PrecisionName
from mpscnn.converters.float32_intermediates import keep_intermediates
from mpscnn.converters.layer_names import LayerNames
from mpscnn.converters.onnx_reader.layouts import InputLayout
from mpscnn.converters.onnx_reader.reader import Converted, converted
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.simplify.simplifier import simplify
from mpscnn.converters.unsupported import UnsupportedLayersError
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.runtime.program import Program
from mpscnn.runtime.session_pool import SessionPool
from mpscnn.torch_backend.aten.operators import OPERATORS, PRODUCTS
from mpscnn.torch_backend.aten.writer import Writer

BFLOAT16 = torch.bfloat16


class RefusedNodesError(UnsupportedError):
    """The error for nodes that a network does not support, with the reason for each."""

    def __init__(self, reasons: Mapping[Node, str]) -> None:
        super().__init__("; ".join(f"{node.name}: {reason}" for node, reason in reasons.items()))
        self.reasons = dict(reasons)


@dataclass(frozen=True)
class _Result:
    """A result of the network: the shape, strides and type of its tensor, and how it maps to the network's axes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    axes: tuple[int, ...]
    own_shape: tuple[int, ...]

    def allocated(self) -> tuple[torch.Tensor, np.ndarray[Any, Any]]:
        """Return an empty tensor, and an array over the same memory with the network's axes."""
        tensor = torch.empty_strided(self.shape, self.strides, dtype=torch.float32)
        array = tensor.numpy()
        if array.ndim:
            array = array.transpose(self.axes)
        # The reshape only adds or removes axes of extent 1, so it never needs a copy.
        return tensor, array if array.shape == self.own_shape else array.reshape(self.own_shape, copy=False)


class NetworkSubgraph(torch.nn.Module):  # type: ignore[misc]
    """Runs a network on tensors.

    Float32 tensors are read and written without copies. The network runs on as many threads as PyTorch uses.

    Attributes:
        network: the network.
        nodes: the number of the graph's nodes that the network replaces.
    """

    def __init__(
        self,
        network: Network,
        program: Program,
        made: Converted,
        results: Sequence[torch.Tensor],
        nodes: int,
    ):
        super().__init__()
        self.network = network
        self.nodes = nodes
        self._layouts: list[InputLayout] = list(made.inputs)
        self._program = program
        self._pools: dict[int, SessionPool] = {}
        ends = [tuple(extent or 1 for extent in end[1:]) for end in self._program.outputs.values()]
        self._results = [
            _Result(
                tuple(value.shape),
                tuple(value.stride()),
                value.dtype,
                layout.axes,
                (value.numel() // math.prod(end), *end),
            )
            for value, layout, end in zip(results, made.outputs, ends, strict=True)
        ]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the network."""
        arrays = [layout.arranged(_array(one)) for layout, one in zip(self._layouts, tensors, strict=True)]
        made = [result.allocated() for result in self._results]
        outputs = [array for _, array in made]
        threads = torch.get_num_threads()
        pool = self._pools.get(threads)
        if pool is None:
            pool = self._pools[threads] = SessionPool(self._program, RunOptions(threads=threads))
        with pool.session() as session:
            session.run(
                arrays[0] if len(arrays) == 1 else arrays, out=outputs[0] if len(outputs) == 1 else outputs
            )
        return tuple(
            tensor if result.dtype == torch.float32 else tensor.to(result.dtype)
            for (tensor, _), result in zip(made, self._results, strict=True)
        )


def _array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return an array over the tensor's memory. Other types than float32 are converted, which copies."""
    if tensor.dtype != torch.float32:
        tensor = tensor.float()
    array: np.ndarray[Any, Any] = tensor.numpy(force=tensor.requires_grad or tensor.is_neg())
    return array


def convert_subgraph(
    nodes: Sequence[Node],
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    constants: Mapping[Node, Any],
    *,
    title: str,
    options: CompileOptions,
) -> NetworkSubgraph:
    """Convert nodes to a network.

    Args:
        nodes: the nodes in topological order.
        inputs: nodes outside of the part whose results it reads.
        outputs: the nodes whose results are the outputs of the network.
        constants: values of nodes that depend on no input.
        title: the name of the network.
        options: the options for compiling it. The default precision is that of the nodes.

    Raises:
        RefusedNodesError: some nodes are not supported; the error names them. ParameterError, ShapeError, DeviceError:
            the network cannot be compiled with these options.
    """
    writer = Writer()
    written = _Written(writer, constants)
    for node in inputs:
        written.names[node] = writer.input(node.name, tuple(node.meta["val"].shape))
    refused = {node: reason for node in nodes if (reason := written.add(node)) is not None}
    for node in list(refused):
        if is_getitem(node):  # if one result is refused, PyTorch must compute the whole operator
            refused.setdefault(node.args[0], refused[node])
    refused |= {node: "its elements share memory" for node in outputs if _overlaps(node.meta["val"])}
    if refused:
        raise RefusedNodesError(refused)
    ends = [(written.ended(node), tuple(node.meta["val"].shape)) for node in outputs]
    file = writer.file(ends, title)
    try:
        made = converted(file, ReadOptions(title, outputs=file.outputs))
        network = keep_intermediates(simplify(made.network))
    except Error as error:
        layers = error.layers if isinstance(error, UnsupportedLayersError) else []
        reasons = {
            node: f"{operator_name(node) or node.name}: {one.reason}"
            for one in layers
            if (node := written.layers.get(one.name)) is not None
        }
        raise RefusedNodesError(reasons or dict.fromkeys(nodes, str(error))) from error
    if options.precision == "auto":
        options = options.replaced(precision=_precision(nodes))
    try:
        program = network.compile(**options.to_dict())
    except UnsupportedError as error:  # raised by the engine for the whole network
        raise RefusedNodesError(dict.fromkeys(nodes, str(error))) from error
    values = [node.meta["val"] for node in outputs]
    return NetworkSubgraph(network, program, made, values, sum(not is_getitem(node) for node in nodes))


def _overlaps(value: torch.Tensor) -> bool:
    """Return True if elements of a tensor share memory, as in an expanded tensor."""
    return any(not step and extent > 1 for step, extent in zip(value.stride(), value.shape, strict=True))


def _precision(nodes: Sequence[Node]) -> PrecisionName:
    """Return "bfloat16" if all convolutions and matrix products of the part have this type, otherwise "float32"."""
    products = [node for node in nodes if operator_name(node) in PRODUCTS]
    types = {value.dtype for node in products for value in fake_tensors(node)[:1]}
    return "bfloat16" if types == {BFLOAT16} else "float32"


class _Written:
    """Writes nodes into an ONNX model, and records the name that each node's result has in the model."""

    def __init__(self, writer: Writer, constants: Mapping[Node, Any]) -> None:
        self._writer = writer
        self._constants = constants
        self._layer_names = LayerNames()
        self.names: dict[Node, str] = {}
        self.parts: dict[Node, tuple[str | None, ...]] = {}
        self.layers: dict[str, Node] = {}

    def add(self, node: Node) -> str | None:
        """Write a node. Returns the reason if it is not supported; otherwise None."""
        if is_getitem(node):
            name = self.parts[node.args[0]][node.args[1]] if node.args[0] in self.parts else None
            if name is None:
                return "its result is not computed"
            self.names[node] = name
            return None
        writer = self._writer
        values = fake_tensors(node)
        writer.result = tuple(values[0].shape)
        operands = [value for source in node.all_input_nodes[:1] for value in fake_tensors(source)]
        writer.strides = tuple(operands[0].stride()) if operands else ()
        writer.layer = self._layer_names.unique(_path_of(node))
        self.layers[writer.layer] = node
        try:
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), self._operand)
            kwargs = {key: value for key, value in kwargs.items() if key not in _WITHOUT_MEANING}
            made = OPERATORS[operator_name(node)](writer, *args, **kwargs)
        except UnsupportedError as error:
            return f"{operator_name(node)}: {error}"
        except TypeError as error:  # the function in the table does not have all arguments of the operator
            return f"{operator_name(node)}: {error}"
        if isinstance(made, str):
            self.names[node] = made
            writer.shapes[made] = writer.result
            return None
        self.parts[node] = made
        for name, value in zip(made, values, strict=False):
            if name is not None:
                writer.shapes[name] = tuple(value.shape)
        return None

    def ended(self, node: Node) -> str:
        """Add an Identity, so that an output of the network has a unique name, and return this name."""
        self._writer.layer = self._layer_names.unique(f"{node.name}.result")
        self.layers[self._writer.layer] = node
        return self._writer.add("Identity", self.names[node])

    def _operand(self, node: Node) -> Any:
        if node in self.names:
            return self.names[node]
        if node not in self._constants:
            raise UnsupportedError(f"its operand {node.name} has several results")
        value = self._constants[node]
        array = (value.float() if value.is_floating_point() else value).numpy()
        name = self._writer.constant(array, f"constant.{node.name}")
        self._writer.arrays[name] = array
        self.names[node] = name
        return name


#: Arguments that are ignored, because the memory layout, device and type are known from the node's result.
_WITHOUT_MEANING = frozenset({"memory_format", "dtype", "layout", "device", "pin_memory", "non_blocking"})


def fake_tensors(node: Node) -> list[torch.Tensor]:
    """Return the fake tensors of a node's results."""
    value = node.meta.get("val")
    several = value if isinstance(value, (tuple, list)) else [value]
    return [one for one in several if isinstance(one, torch.Tensor)]


def _path_of(node: Node) -> str:
    """Return the path of the module that computes a node, without Dynamo's prefixes such as L['self']."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next((str(entry[0]) for entry in reversed(stack.values())), "")
    cleaned = (
        path.replace("L['self'].", "").replace("L['self']", "").replace("_modules['", "").replace("']", "")
    )
    return cleaned.strip(".") or node.name


def operator_name(node: Node) -> str:
    """Return the name of a node's operator as in the table of operators; "" for other nodes."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return ""
    name = f"{node.target._opname}.{node.target._overloadname}"
    return name if node.target.namespace == "aten" else f"{node.target.namespace}.{name}"


def is_getitem(node: Node) -> bool:
    """Return True if a node takes one of an operator's several results."""
    return node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"
