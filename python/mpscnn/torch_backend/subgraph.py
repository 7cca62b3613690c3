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
from mpscnn.converters.finishing.simplify.simplifier import simplify
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.onnx.layouts import InputLayout
from mpscnn.converters.reading.onnx.reader import Converted, converted
from mpscnn.converters.reading.pytorch.aten.constants import is_getitem
from mpscnn.converters.reading.pytorch.aten.nodes import NodeWriter, fake_tensors, kind_of, operator_name
from mpscnn.converters.reading.pytorch.aten.operators import PRODUCTS
from mpscnn.converters.reading.pytorch.aten.writer import Writer
from mpscnn.converters.values.float32_intermediates import keep_intermediates
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.runtime.program import Program
from mpscnn.runtime.session_pool import SessionPool

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
    writer = Writer(title)
    written = NodeWriter(writer, constants)
    for node in inputs:
        written.names[node] = writer.input(node.name, tuple(node.meta["val"].shape))
    refused = {node: reason for node in nodes if (reason := _refusal(written, node)) is not None}
    for node in list(refused):
        if is_getitem(node):  # if one result is refused, PyTorch must compute the whole operator
            refused.setdefault(node.args[0], refused[node])
    refused |= {node: "its elements share memory" for node in outputs if _overlaps(node.meta["val"])}
    if refused:
        raise RefusedNodesError(refused)
    ends = [(written.ended(node), tuple(node.meta["val"].shape), "float32") for node in outputs]
    file = writer.file(ends)
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


def _refusal(written: NodeWriter, node: Node) -> str | None:
    """Write a node. Return the reason if it is not supported; networks of a graph have no integers as results."""
    if is_getitem(node) and kind_of(node.meta["val"]) == "int":
        return "its result is not computed"
    return written.add(node)


def _overlaps(value: torch.Tensor) -> bool:
    """Return True if elements of a tensor share memory, as in an expanded tensor."""
    return any(not step and extent > 1 for step, extent in zip(value.stride(), value.shape, strict=True))


def _precision(nodes: Sequence[Node]) -> PrecisionName:
    """Return "bfloat16" if all convolutions and matrix products of the part have this type, otherwise "float32"."""
    products = [node for node in nodes if operator_name(node) in PRODUCTS]
    types = {value.dtype for node in products for value in fake_tensors(node)[:1]}
    return "bfloat16" if types == {BFLOAT16} else "float32"
