"""Write nodes of a PyTorch graph of ATen's operators into an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch.fx import Node

from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.arithmetic import CHOICES
from mpscnn.converters.reading.pytorch.aten.array_ops import ARRAY_OPS, CONVERSIONS
from mpscnn.converters.reading.pytorch.aten.constants import is_getitem
from mpscnn.converters.reading.pytorch.aten.indexing import INDEXING
from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS
from mpscnn.converters.reading.pytorch.aten.writer import Kind, Writer
from mpscnn.converters.reading.pytorch.extents import own_shape
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

#: Arguments that are ignored, because the memory layout, device and type are known from the node's result.
_WITHOUT_MEANING = frozenset({"memory_format", "dtype", "layout", "device", "pin_memory", "non_blocking"})
_WIDE = (torch.bool, torch.int32, torch.int64)
#: Operators whose results are elements of their operands.
_KEEPING_NUMBERS = frozenset({*ARRAY_OPS, *INDEXING, *CHOICES})


class NodeWriter:
    """Writes nodes into an ONNX model, and records the name that each node's result has in the model.

    Args:
        writer: the model.
        constants: the values of nodes that are constants. Extents that are free are among them.

    Attributes:
        names: the name of the result of each node.
        parts: the names of the results of each node with several results.
        layers: the node of each layer by the layer's name.
        titles: the names of constants in the module, which they get in the model.
        written: the names in the model of the constants of `titles` that are in the model, by title.
    """

    def __init__(self, writer: Writer, constants: Mapping[Node, Any]) -> None:
        self._writer = writer
        self._constants = constants
        self._layer_names = LayerNames()
        self.names: dict[Node, str] = {}
        self.parts: dict[Node, tuple[str | None, ...]] = {}
        self.layers: dict[str, Node] = {}
        self.titles: dict[Node, str] = {}
        self.written: dict[str, str] = {}

    def add(
        self,
        node: Node,
        operator: Row | None = None,
        path: str | None = None,
        instead: Mapping[Node, torch.Tensor] | None = None,
    ) -> str | None:
        """Write a node. Return the reason if it is not supported; otherwise None.

        Args:
            node: a call of an operator.
            operator: the function that writes it; None: that of the table.
            path: the name of its layers; None: the path of its module.
            instead: constants that take the place of operands in this call.
        """
        if is_getitem(node):
            return self._add_part(node)
        writer = self._writer
        values = fake_tensors(node)
        writer.results = tuple(own_shape(value.shape) for value in values)
        writer.kind = kind_of(values[0])
        operands = [value for source in node.all_input_nodes[:1] for value in fake_tensors(source)]
        writer.strides = tuple(operands[0].stride()) if operands else ()
        writer.layer = self._layer_names.unique(path or self.path_of(node))
        self.layers[writer.layer] = node
        if wraps(node, operator_name(node)):
            return f"{operator_name(node)}: computes in {values[0].dtype}, whose results wrap"
        try:
            reads_places = operator_name(node) == "max_unpool2d.default"
            args, kwargs = torch.fx.map_arg(
                (node.args, node.kwargs),
                partial(self._operand, instead or {}, reads_places=reads_places),
            )
            kwargs = {key: value for key, value in kwargs.items() if key not in _WITHOUT_MEANING}
            made = (operator or OPERATORS[operator_name(node)])(writer, *args, **kwargs)
        except UnsupportedError as error:
            return f"{operator_name(node)}: {error}"
        except TypeError as error:  # the function in the table does not have all arguments of the operator
            return f"{operator_name(node)}: {str(error).rpartition('() ')[2]}"  # without the function's name
        self._record(node, made)
        return None

    def _record(self, node: Node, made: str | tuple[str | None, ...]) -> None:
        if isinstance(made, str):
            self.names[node] = made
        else:
            self.parts[node] = made
        results = (made,) if isinstance(made, str) else made
        for name, value in zip(results, fake_tensors(node), strict=False):
            if name is not None:
                self._writer.shapes[name] = own_shape(value.shape)
                self._writer.kinds[name] = kind_of(value)

    def _add_part(self, node: Node) -> str | None:
        names = self.parts.get(node.args[0])
        name = names[node.args[1]] if names is not None and node.args[1] < len(names) else None
        if name is None:
            return f"its result {node.args[1] + 1}, such as the places of maxima, is not computed"
        self.names[node] = name
        return None

    def ended(self, node: Node) -> str:
        """Add an Identity, so that an output of the network has a unique name, and return this name."""
        self._writer.layer = self._layer_names.unique(f"{node.name}.result")
        self.layers[self._writer.layer] = node
        return ops.identity(self._writer, self.operand(node))

    def _operand(self, instead: Mapping[Node, torch.Tensor], node: Node, *, reads_places: bool) -> Any:
        if node in instead:
            return self._stored(instead[node], f"{node.name}.folded")
        return self.operand(node, reads_places=reads_places)

    def operand(self, node: Node, *, reads_places: bool = False) -> Any:
        """Return what a node is for an operator that reads it: the name of a tensor, an extent or a number.

        Raises UnsupportedError for the places of maxima unless the operator `reads_places` as an unpooling does.
        """
        if node in self.names:
            if not reads_places and self.names[node] in self._writer.places_of_maxima:
                raise UnsupportedError("the places of maxima are not computed")
            return self.names[node]
        if node not in self._constants:
            raise UnsupportedError(f"its operand {node.name} has several results")
        value = self._constants[node]
        if not isinstance(value, torch.Tensor):
            return value
        title = self.titles.get(node)
        self.names[node] = name = self._stored(value, title or f"constant.{node.name}")
        if title is not None:
            self.written[title] = name
        return name

    def _stored(self, value: torch.Tensor, name: str) -> str:
        array = (value.float() if value.is_floating_point() else value).detach().numpy(force=True)
        name = self._writer.constant(array, name)
        self._writer.arrays[name] = array
        self._writer.kinds[name] = kind_of(value)
        return name

    def path_of(self, node: Node) -> str:
        """Return the path of the module that owns the node's weight, or else of the module that computes the node."""
        for source in node.all_input_nodes:
            path, _, role = self.titles.get(source, "").rpartition(".")
            if role == "weight" and path:
                return path
        return module_path(node) or node.name


def module_path(node: Node) -> str:
    """Return the path of the innermost module that computes a node, without Dynamo's prefixes such as L['self']."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = (str(entry[0]) for entry in reversed(stack.values()))
    path = next(filter(None, paths), "")
    cleaned = (
        path.replace("L['self'].", "").replace("L['self']", "").replace("_modules['", "").replace("']", "")
    )
    return cleaned.strip(".")


def fake_tensors(node: Node) -> list[torch.Tensor]:
    """Return the fake tensors of a node's results."""
    value = node.meta.get("val")
    several = value if isinstance(value, (tuple, list)) else [value]
    return [one for one in several if isinstance(one, torch.Tensor)]


def wraps(node: Node, operator: str) -> bool:
    """Return True if a node computes integers of few bits or without a sign, and does more than move them.

    Their sums and conversions begin again at the other end of their range, which a network of floats does not do.
    """
    made = fake_tensors(node)[0].dtype
    if made.is_floating_point or made.is_complex or made in _WIDE:
        return False
    given = [value.dtype for source in node.all_input_nodes[:1] for value in fake_tensors(source)]
    is_exact = operator not in CONVERSIONS or all(_holds_all(made, one) for one in given)
    return operator not in _KEEPING_NUMBERS or not is_exact


def _holds_all(made: torch.dtype, given: torch.dtype) -> bool:
    """Return True if a type of integers has all numbers of another type."""
    if torch.bool in (made, given):
        return bool(given == torch.bool)
    if given.is_floating_point or given.is_complex:
        return False
    outer, inner = torch.iinfo(made), torch.iinfo(given)
    return bool(outer.min <= inner.min and inner.max <= outer.max)


def kind_of(value: torch.Tensor) -> Kind:
    """Return the kind of a tensor's elements."""
    if value.dtype == torch.bool:
        return "bool"
    return "float" if value.is_floating_point() or value.is_complex() else "int"


def operator_name(node: Node) -> str:
    """Return the name of a node's operator as in the table of operators; "" for other nodes."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return ""
    return name_of(node.target)


def name_of(target: torch._ops.OpOverload) -> str:
    """Return the name of an operator as in the table of operators."""
    name = f"{target._opname}.{target._overloadname}"
    return name if target.namespace == "aten" else f"{target.namespace}.{name}"
