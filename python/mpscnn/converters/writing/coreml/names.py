"""Name the operations of a Core ML model so that a model that is read and written again keeps its names.

One operation of each layer has the layer's name: the operation from whose name readers make the name of the layer that
computes the result. All other operations are named by their type and their number among operations of that type. So
their names depend only on the model, and not on the layers that a reader makes of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.reading.coreml.program.operation import OF_HALVES

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_OF_TWO = frozenset({"Add", "Div", "Max", "Min", "Mul", "Pow", "Sub"})
# If these operators with a constant follow a convolution, coremltools makes one convolution of both.
_AFFINE = frozenset({"Add", "Mul", "Sub"})
# Readers make no separate layer of these operators if they come after another operator of the same layer.
_MOVES = frozenset({"Cast", "Reshape", "Transpose"})
# Activations of one operator that readers fuse with the layer before them.
_FUNCTIONS = frozenset(
    {"Abs", "Ceil", "Clip", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "LeakyRelu", "Log", "Relu", "Round"}
    | {"Sigmoid", "Sign", "Softplus", "Softsign", "Tanh"}
)
# Activations of several operators that readers recognise.
_RECOGNISED = frozenset({"gelu", "gelu_tanh", "hard_swish", "mish", "swish"})


def layer_names(graph: Any, activations: Mapping[str, str]) -> dict[str, str]:
    """Return the names of layers and outputs by the result of the operator that has the name.

    Other operators have no names.

    Args:
        graph: the ONNX graph. The `doc_string` of each node is the name of its layer.
        activations: the kind of activation by the results of the nodes that compute it.
    """
    ends = result_names(graph)
    outputs = {entry.name for entry in graph.output} | set(ends)
    at_end = set(ends.values())
    sizes = {entry.name: math.prod(entry.dims) for entry in graph.initializer}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    layers: dict[str, list[Any]] = {}
    for node in graph.node:
        # Readers make no layer of a Flatten, which comes before each product of a matrix and a vector, nor of a Reshape
        # whose result is flattened again.
        flattens = node.op_type == "Flatten" or (
            node.op_type == "Reshape" and readers.get(node.output[0]) == {"Flatten"}
        )
        if node.doc_string not in ("", *at_end) and not flattens and outputs.isdisjoint(node.output):
            layers.setdefault(node.doc_string, []).append(node)
    named = {_named(nodes, activations, sizes).output[0]: layer for layer, nodes in layers.items()}
    return named | {name: ends.get(name, name) for name in outputs}


def result_names(graph: Any) -> dict[str, str]:
    """Return the names of layers whose last operator computes an output, by the result of this operator.

    The reader names the layer that computes an output after the output, so the output has the layer's name in the file.
    An ONNX graph ends in an Identity for each output, which the file does not need. An output stays an operator of its
    own if it is an input, a constant, one of several results, or equal to another output.
    """
    makers = {name: node for node in graph.node for name in node.output}
    names: dict[str, str] = {}
    for entry in graph.output:
        end = makers[entry.name]
        maker = makers.get(end.input[0])
        is_alone = maker is not None and len(maker.output) == 1 and end.input[0] not in names
        if end.op_type == "Identity" and is_alone and end.doc_string:
            names[end.input[0]] = end.doc_string
    return names


def _named(nodes: Sequence[Any], activations: Mapping[str, str], sizes: Mapping[str, int]) -> Any:
    """Return the node that gets the layer's name. When the file is read again, all nodes of the layer become one.

    `sizes` are the numbers of elements of constants.
    """
    own = [node for node in nodes if node.output[0] not in activations]
    rest = [node for node in nodes if node.output[0] in activations]
    if not own:
        return nodes[-1]
    if not rest:
        computing = [node for node in own if node.op_type not in _MOVES]
        if not computing:
            return next((node for node in reversed(own) if node.op_type == "Reshape"), own[-1])
        is_scaled = len(computing) > 1 and computing[-2].op_type == "MatMul"
        return computing[-2] if is_scaled and _is_affine(computing[-1], sizes) else computing[-1]
    base = next((node for node in reversed(own) if not _is_affine(node, sizes)), own[-1])
    fuses = base.op_type in _CONVOLUTIONS or _fuses(own[-1], sizes)
    is_recognised = activations[rest[0].output[0]] in _RECOGNISED
    last = own[-1]
    while rest and not is_recognised and base.op_type in _CONVOLUTIONS and _is_affine(rest[0], sizes):
        last = rest.pop(0)
    is_fused = is_recognised or (len(rest) == 1 and rest[0].op_type in _FUNCTIONS)
    return last if not rest or (fuses and is_fused) else nodes[-1]


def _fuses(node: Any, sizes: Mapping[str, int]) -> bool:
    """Return True if readers fuse an activation after the operator with the operator's layer."""
    if node.op_type in _OF_TWO:
        return all(sizes.get(name) != 1 for name in node.input)
    return node.op_type in _CONVOLUTIONS or node.op_type == "Gemm" or node.op_type.endswith("Normalization")


def _is_affine(node: Any, sizes: Mapping[str, int]) -> bool:
    return node.op_type in _AFFINE and any(name in sizes for name in node.input)


class _Names:
    """Makes the names of operations and their results.

    Args:
        kept: the names that stay as they are.
        present: the names that the model has.
    """

    def __init__(self, kept: Set[str], present: Iterable[str]) -> None:
        self._kept = kept
        self._names = LayerNames()
        self._names.take(name for name in present if self._is_kept(name))
        self._counts: Counter[str] = Counter()
        self.new: dict[str, str] = {}
        """The new names of results."""

    def of(self, name: str, kind: str, outputs: Sequence[str]) -> str:
        """Return the new name of an operation and name its results. Call this once for each operation, in order."""
        made = name
        if not self._is_kept(name):
            # Readers leave out this ending, and coremltools adds it to the name of the layer that is then written.
            ending = OF_HALVES if name.endswith(OF_HALVES) else ""
            made = self.free(f"{kind}_{self._counts[kind]}{ending}")
        self._counts[kind] += 1
        for place, output in enumerate(outputs):
            if len(outputs) == 1:
                self.new[output] = made
            else:
                self.new[output] = output if self._is_kept(output) else self.free(f"{made}_{place}")
        return made

    def _is_kept(self, name: str) -> bool:
        return name in self._kept or name.removesuffix(OF_HALVES) in self._kept

    def free(self, stem: str) -> str:
        """Return a unique name."""
        return self._names.unique(stem)


def name_operations(model: Any, kept: Set[str], *, is_program: bool) -> None:
    """Rename the operations of a model, and everything that refers to them.

    Args:
        model: the model's message, which is changed.
        kept: the names that stay as they are: those of layers, and others that readers look for. The names of inputs
            and outputs always stay.
        is_program: whether the model is a program; False: a neural network.
    """
    kept = kept | {one.name for one in (*model.description.input, *model.description.output)}
    if is_program:
        (function,) = model.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        _name_program(block, kept)
        return
    layers = getattr(model, str(model.WhichOneof("Type"))).layers
    names = _Names(kept, {name for layer in layers for name in (*layer.input, *layer.output)})
    for layer in layers:
        name = layer.output[0] if len(layer.output) == 1 else layer.name
        layer.name = names.of(name, str(layer.WhichOneof("layer")), layer.output)
        for references in (layer.input, layer.output):
            references[:] = [names.new.get(one, one) for one in references]


def _name_program(block: Any, kept: Set[str]) -> None:
    names = _Names(kept, {output.name for operation in block.operations for output in operation.outputs})
    for operation in block.operations:
        if not _is_constant(operation):
            own, outputs = _own_names(operation), [output.name for output in operation.outputs]
            own[0] = names.of(outputs[0] if len(outputs) == 1 else own[0], operation.type, outputs)
    _order_constants(block)
    _name_constants(block, names)
    for operation in block.operations:
        arguments = [one for entry in operation.inputs.values() for one in entry.arguments if one.name]
        for reference in (*operation.outputs, *arguments):
            reference.name = names.new.get(reference.name, reference.name)


def _order_constants(block: Any) -> None:
    """Move each constant before the first operation that reads it, in the order of the operation's parameters."""
    constants = {one.outputs[0].name: one for one in block.operations if _is_constant(one)}
    places: dict[str, int] = {}

    def add(operation: Any) -> None:
        for parameter in sorted(operation.inputs):
            for argument in operation.inputs[parameter].arguments:
                constant = constants.pop(argument.name, None)
                if constant is not None:
                    add(constant)
        places[operation.outputs[0].name] = len(places)

    for operation in block.operations:
        if not _is_constant(operation):
            add(operation)
    block.operations.sort(key=lambda one: places[one.outputs[0].name])


def _name_constants(block: Any, names: _Names) -> None:
    """Name constants after the operations that read them. Operations follow their constants in the file."""
    readers: dict[str, str] = {}
    for operation in reversed(block.operations):
        name = operation.outputs[0].name
        if _is_constant(operation):
            _own_names(operation)[0] = names.new[name] = names.free(readers[name])
        for parameter in sorted(operation.inputs):
            arguments = operation.inputs[parameter].arguments
            for place, argument in enumerate(arguments):
                number = f"_{place}" if len(arguments) > 1 else ""
                readers[argument.name] = f"{names.new[name]}_{parameter}{number}"


def _is_constant(operation: Any) -> bool:
    return str(operation.type).startswith("const")


def _own_names(operation: Any) -> Any:
    """Return the list that has an operation's name."""
    return operation.attributes["name"].immediateValue.tensor.strings.values
