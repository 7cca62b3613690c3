"""Read exported programs of PyTorch (torch.export.ExportedProgram) by the table of ATen's operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Node

from mpscnn.converters.opening.unsupported import REPLACE_IN_MODULE, UnsupportedLayers
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.pytorch.aliases import blocks_write, function_of, same_tensors
from mpscnn.converters.reading.pytorch.aten.constants import constant_value, is_getitem, is_none
from mpscnn.converters.reading.pytorch.aten.nodes import (
    NodeWriter,
    fake_tensors,
    kind_of,
    module_path,
    name_of,
    operator_name,
)
from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS
from mpscnn.converters.reading.pytorch.aten.writer import Writer
from mpscnn.converters.reading.pytorch.decomposed import decomposed, names_axis_of_number
from mpscnn.converters.reading.pytorch.extents import FreeExtent, own_extent, own_shape
from mpscnn.converters.reading.pytorch.folded_norms import foldable_norms, folded, has_zero_bias, with_bias
from mpscnn.converters.reading.pytorch.tracing import without_writes
from mpscnn.errors import UnsupportedError

# Blocks of a module's code, which are operators of their own. None of them changes what a network computes in float32.
_BLOCKS = frozenset({"wrap_with_autocast", "wrap_with_set_grad_enabled"})
_UNKNOWN = "mpscnn has no such layer yet"


@dataclass
class Program:
    """The graph of an exported program in the form in which mpscnn reads ONNX files.

    Attributes:
        file: the graph.
        parameters: for each tensor of the file that is a parameter, its first name in the module.
        notes: remarks for the user.
    """

    file: OnnxFile
    parameters: dict[str, str]
    notes: list[str] = field(default_factory=list)


def read_program(program: Any, title: str, *, learns: bool) -> Program:
    """Return the graph of a program.

    Args:
        program: the torch.export.ExportedProgram.
        title: the name of the graph, for messages.
        learns: whether parameters stay tensors of the graph. Otherwise what is computed from them is constant.

    Raises UnsupportedError: mpscnn has no such operators; the message names all of them.
    """
    same = same_tensors(program.graph)
    if same is None or blocks_write(program):  # a view of a tensor is read after the tensor was written into
        program = without_writes(program, title)
        same = same_tensors(program.graph) or {}
    return _Reader(program, title, same, learns=learns).read()


class _Reader:
    def __init__(self, program: Any, title: str, same: Mapping[Node, list[Node]], *, learns: bool) -> None:
        self._program = program
        self._title = title
        self._same = same
        self._learns = learns
        self._writer = Writer(title)
        self._constants: dict[Node, Any] = {}  # the values of nodes that depend on no input, and of extents
        self._fixed: dict[Node, Any] = {}  # those of them that other constants may be computed from
        self._nodes = NodeWriter(self._writer, self._constants)
        self._norms = {} if learns else foldable_norms(program.graph)
        self._folded: set[Node] = set()  # batch normalizations that are a part of the layer before
        self._calls: dict[str | None, str] = {}  # the results of calls by their operators and operands
        self._read_values: list[Any] = []
        self._refused: set[Node] = set()
        self._unsupported = UnsupportedLayers(title, advice=REPLACE_IN_MODULE)
        self._notes: list[str] = []

    def read(self) -> Program:
        """Return the graph."""
        graph = self._program.graph
        self._read_inputs()
        needed = self._needed()
        for node in graph.nodes:
            if node.op == "get_attr":
                self._keep(node, _attribute(self._program.graph_module, str(node.target)))
            elif node.op == "call_function" and node in needed:
                self._read(node, module_path(node))
        if self._unsupported:
            raise self._unsupported.error()
        ends = self._ends()
        file = self._writer.file(ends)
        return Program(file, self._parameters(file), self._notes)

    # ---- Inputs and outputs ----------------------------------------------------------------------------------------

    def _read_inputs(self) -> None:
        from torch.export.graph_signature import InputKind

        placeholders = {node.name: node for node in self._program.graph.find_nodes(op="placeholder")}
        for spec in self._program.graph_signature.input_specs:
            node = placeholders.get(getattr(spec.arg, "name", None))
            if node is None:
                continue
            value = node.meta.get("val")
            if spec.kind is InputKind.USER_INPUT:
                if isinstance(value, torch.Tensor):
                    element = str(value.dtype).removeprefix("torch.")
                    self._nodes.names[node] = self._writer.input(node.name, own_shape(value.shape), element)
                    self._writer.kinds[node.name] = kind_of(value)
                else:
                    self._keep(node, value)
                continue
            held = self._held(spec)
            self._nodes.titles[node] = str(spec.target)
            self._constants[node] = held
            if spec.kind is not InputKind.PARAMETER or not self._learns:
                self._fixed[node] = held

    def _held(self, spec: Any) -> Any:
        """Return the value of a parameter, buffer or constant of the program."""
        state = self._program.state_dict
        value = state[spec.target] if spec.target in state else self._program.constants[spec.target]
        return value.detach() if isinstance(value, torch.Tensor) else value

    def _needed(self) -> set[Node]:
        """Return the nodes on which the results depend. Checks of shapes are not among them."""
        (end,) = self._program.graph.find_nodes(op="output")
        names = {spec.arg.name for spec in self._user_outputs() if hasattr(spec.arg, "name")}
        waiting = [node for node in end.all_input_nodes if node.name in names]
        writers: dict[Node, list[Node]] = {}
        for node, alike in self._same.items():
            for one in alike:
                writers.setdefault(one, []).append(node)
        needed: set[Node] = set()
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                waiting += [*node.all_input_nodes, *writers.get(node, [])]
        return needed

    def _user_outputs(self) -> list[Any]:
        from torch.export.graph_signature import OutputKind

        specs = self._program.graph_signature.output_specs
        return [spec for spec in specs if spec.kind is OutputKind.USER_OUTPUT]

    def _ends(self) -> list[tuple[str, Any, str]]:
        """Return the name, shape and type of each result. Each gets a name of its own."""
        nodes = {node.name: node for node in self._program.graph.nodes}
        taken = {node.name for node in self._program.graph.find_nodes(op="placeholder")}
        ends = []
        for place, spec in enumerate(self._user_outputs()):
            node = nodes.get(getattr(spec.arg, "name", None))
            value = None if node is None else node.meta.get("val")
            if node is None or not isinstance(value, torch.Tensor):
                self._notes.append(f"result {place + 1} of the module is not a tensor and is left out")
                continue
            name = self._nodes.names.get(node)
            if name in self._writer.places_of_maxima:
                raise UnsupportedError(
                    f"{self._title}: one of its results is the places of maxima, which are not computed"
                )
            if name is None or name in taken or node in self._constants:
                name = self._nodes.ended(node)
            taken.add(name)
            ends.append((name, own_shape(value.shape), str(value.dtype).removeprefix("torch.")))
        if not ends:
            raise UnsupportedError(f"{self._title}: it has no result that is a tensor")
        return ends

    def _parameters(self, file: OnnxFile) -> dict[str, str]:
        """Return the first name in the module of each parameter in the file. Each must be read by an operator."""
        if not self._learns:
            return {}
        first: dict[int, str] = {}
        found: dict[str, str] = {}
        for name in self._program.graph_signature.parameters:
            owner = first.setdefault(id(self._program.state_dict[name]), name)
            written = self._nodes.written.get(name)
            if written is None:
                continue
            if not file.users.get(written):
                raise UnsupportedError(
                    f"{self._title}: parameter {name!r} would not learn: its numbers are moved into a constant; for "
                    "inference convert the module with fold=True"
                )
            found[written] = owner
        return found

    # ---- Operators -------------------------------------------------------------------------------------------------

    def _keep(self, node: Node, value: Any) -> None:
        """Record the value of a node that depends on no input, or the extent that it is."""
        value = own_extent(value)
        self._constants[node] = value
        if not isinstance(value, FreeExtent):
            self._fixed[node] = value

    def _read(self, node: Node, path: str) -> None:
        """Write a call of an operator, or compute it if it is constant."""
        if not self._refused.isdisjoint(node.all_input_nodes):
            self._refused.add(node)
            self._name_if_unknown(node, path)
            return
        if "val" in node.meta and not _has_tensors(node.meta["val"]):
            self._keep(node, node.meta["val"])  # an extent, or a number made of extents
            return
        target = function_of(node)
        value = constant_value(node, self._fixed, target) if callable(target) else None
        if target is not None and not is_none(value):
            self._fixed[node] = self._constants[node] = value
        elif not self._write(node, target, path):
            self._refused.add(node)
            return
        for alike in self._same.get(node, []):
            self._take_place(alike, node)

    def _name_if_unknown(self, node: Node, path: str) -> None:
        """Name an operator after one that is not supported, so that the error names all at once."""
        target = function_of(node)
        if is_getitem(node) or (isinstance(target, torch._ops.OpOverload) and name_of(target) in OPERATORS):
            return
        if not isinstance(target, torch._ops.OpOverload) or decomposed(node, target) is None:
            self._attempted(node, path, _UNKNOWN)

    def _take_place(self, old: Node, new: Node) -> None:
        """Let a node stand for what another node wrote into it."""
        for table in (self._constants, self._fixed, self._nodes.names):
            table.pop(old, None)
            if new in table:
                table[old] = table[new]

    def _write(self, node: Node, target: Callable[..., Any] | None, path: str) -> bool:
        """Write a node. Return False if it is not supported."""
        if is_getitem(node):
            return self._attempted(node, path, self._nodes.add(node))
        if isinstance(node.target, torch._ops.HigherOrderOperator) and node.target.name() in _BLOCKS:
            return self._write_block(node, path)
        if not isinstance(target, torch._ops.OpOverload):
            return self._attempted(node, path, _UNKNOWN)
        if names_axis_of_number(node, target) and (steps := decomposed(node, target, adds_axis=True)):
            return self._write_steps(node, steps, path, _tensor_operands(node))
        operator = OPERATORS.get(name_of(target))
        if node in self._folded:
            self._stand_for_norm(node)
            return True
        if operator is not None:
            owner, instead = self._owner(node, path), {}
            key = None
            if (norm := self._norms.get(node)) and (made := folded(node, norm, self._fixed)):
                operator, instead = with_bias(operator, made.bias.numpy()), {node.args[1]: made.weight}
                self._folded.add(norm)
            elif not self._learns and has_zero_bias(node, self._fixed):
                operator = with_bias(operator, None)
            elif (key := self._key_of(node, target)) in self._calls:
                self._nodes.names[node] = self._calls[
                    key
                ]  # a call with the same operands has the same result
                return True
            is_written = self._attempted(node, path, self._nodes.add(node, operator, owner, instead))
            if is_written and key is not None:
                self._calls[key] = self._nodes.names[node]
            return is_written
        steps = decomposed(node, target)
        if steps is None:
            return self._attempted(node, path, _UNKNOWN)
        return self._write_steps(node, steps, path, _tensor_operands(node))

    def _key_of(self, node: Node, target: torch._ops.OpOverload) -> str | None:
        """Return a text that calls of an operator with the same operands share; None if it has several results."""
        if self._learns or not isinstance(node.meta["val"], torch.Tensor):
            return None

        def named(operand: Node) -> str:
            value = self._constants.get(operand)
            if operand in self._nodes.names or value is None:
                return f"tensor {self._nodes.names.get(operand, operand.name)}"
            self._read_values.append(value)  # so that no other value gets its id()
            return f"constant {id(value)}"

        return repr((name_of(target), torch.fx.map_arg((node.args, node.kwargs), named)))

    def _stand_for_norm(self, norm: Node) -> None:
        """Let the result of the layer before a batch normalization, which is in this layer, be its result."""
        name = self._nodes.names[norm.args[0]]
        if isinstance(norm.meta["val"], (list, tuple)):
            self._nodes.parts[norm] = (name, None, None)
        else:
            self._nodes.names[norm] = name

    def _owner(self, node: Node, path: str) -> str:
        return self._nodes.path_of(node) if node.graph is self._program.graph else path

    def _write_block(self, node: Node, path: str) -> bool:
        """Write the operators of a block for which the module switches gradients or automatic precision off."""
        place, block = next(
            (place, self._constants[one])
            for place, one in enumerate(node.args)
            if isinstance(self._constants.get(one), torch.fx.GraphModule)
        )
        return self._write_steps(node, block, path, list(node.args[place + 1 :]))

    def _write_steps(
        self, node: Node, steps: torch.fx.GraphModule, path: str, operands: Sequence[Node]
    ) -> bool:
        """Write the operators that an operator or a block is made of."""
        sources = iter(operands)
        for step in steps.graph.nodes:
            if step.op == "placeholder":
                self._stand_for(step, next(sources))
            elif step.op == "get_attr":
                self._keep(step, _attribute(steps, str(step.target)))
            elif step.op == "call_function":
                self._read(step, module_path(step) or path or node.name)
                if step in self._refused:
                    return False
            elif step.op == "output":
                return self._end_steps(node, step)
        return False

    def _end_steps(self, node: Node, end: Node) -> bool:
        results = end.args[0] if isinstance(end.args[0], (list, tuple)) else (end.args[0],)
        if len(fake_tensors(node)) == 1 and not isinstance(node.meta["val"], (list, tuple)):
            self._stand_for(node, results[0])
            return True
        self._nodes.parts[node] = tuple(None if one is None else self._nodes.operand(one) for one in results)
        return True

    def _stand_for(self, node: Node, source: Node) -> None:
        for table in (self._constants, self._fixed, self._nodes.names, self._nodes.titles):
            if source in table:
                table[node] = table[source]

    def _attempted(self, node: Node, path: str, reason: str | None) -> bool:
        if reason is not None:
            name = operator_name(node.args[0] if is_getitem(node) else node)
            kind = name.rpartition(".")[0] or str(node.target)
            self._unsupported.add(kind, path or node.name, reason.removeprefix(f"{name}: "))
        return reason is None


def _tensor_operands(node: Node) -> list[Node]:
    """Return the operands of a node that are tensors, in the order of its arguments."""
    found: list[Node] = []
    torch.fx.map_arg((node.args, node.kwargs), lambda one: found.append(one) if fake_tensors(one) else None)
    return found


def _has_tensors(value: Any) -> bool:
    several = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(one, torch.Tensor) for one in several)


def _attribute(module: torch.nn.Module, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value
