"""Convert graphs of TensorFlow to networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpscnn._private.names import did_you_mean
from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.graph.builder import Builder, Extents
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.converters.reading.tensorflow.file_errors import convert_errors
from mpscnn.converters.reading.tensorflow.left_out import notes
from mpscnn.converters.reading.tensorflow.node import Node
from mpscnn.converters.reading.tensorflow.operation import Blocks, Operand, Operation, Weights
from mpscnn.converters.reading.tensorflow.operators import REFUSED, ROWS
from mpscnn.converters.reading.tensorflow.value_resolution import FOLLOWED, VARIABLES, Ref, ValueResolver
from mpscnn.converters.reading.tensorflow.values import Array
from mpscnn.converters.reading.tensorflow.windows import IN_BLOCKS, block_of
from mpscnn.converters.values.constant import Constant
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_UNKNOWN = "mpscnn does not know this operator"


@dataclass(frozen=True)
class GraphFile:
    """A graph with its inputs, outputs and variables.

    Attributes:
        origin: the name of the file, for messages.
        flow: the graph.
        inputs: the shapes of the inputs by the names that they get in the network; None for a free extent.
        places: the nodes of the inputs, by the names of the inputs.
        outputs: the outputs of the network, by name.
        variable: a function that returns a variable as an array.
        signature: the name of the SavedModel's signature; None for a frozen graph.
        names_outputs: whether the file names its outputs. Otherwise they have the names of operators.
        initialisers: the operators that a SavedModel runs once, before the first inference.
        assets: the number of files that a SavedModel names.
        others: descriptions of signatures and graphs of a SavedModel that are not read.
    """

    origin: str
    flow: ValueResolver
    inputs: Mapping[str, Extents]
    places: Mapping[str, str]
    outputs: Mapping[str, Ref]
    variable: Callable[[Ref], Array]
    signature: str | None = None
    names_outputs: bool = False
    initialisers: Sequence[Ref] = ()
    assets: int = 0
    others: Sequence[str] = ()


def convert(file: GraphFile, options: ReadOptions) -> Network:
    """Return the network of a graph.

    Raises:
        UnsupportedError: mpscnn does not support some operators; the message names all of them. WeightsError: the file
            contradicts itself. ParameterError: options that do not fit the file.
    """
    with convert_errors(file.origin):
        return _Converter(file, options).run()


class _Converter:
    def __init__(self, file: GraphFile, options: ReadOptions) -> None:
        self._file = file
        self._flow = file.flow
        self._options = options
        options.check_inputs(list(file.inputs), file.origin)
        shapes = {name: self._shape(name, extents) for name, extents in file.inputs.items()}
        nodes = file.flow.main.nodes
        whole = [name for name, place in file.places.items() if _is_whole(nodes[place])]
        self._builder = Builder(
            file.origin, shapes, name=options.name, size=file.flow.size, whole=whole, keeps_axes=True
        )
        self._walk = Walk(self._builder, file.origin)
        self._values: dict[Ref, Operand] = {}
        self._blocks: Blocks = {}
        self._weights: Weights = {}
        self._inputs = {place: name for name, place in file.places.items()}
        self._names = LayerNames()

    def _shape(self, name: str, extents: Extents) -> Extents:
        where = f"{self._file.origin}: input {quote_name(name)}"
        chosen = self._options.shape_of(name, extents, where) or extents
        return self._options.sized(chosen, where)

    def run(self) -> Network:
        """Convert the operators that the outputs depend on, and return the network."""
        wanted = self._wanted()
        needed = list(self._flow.in_order(list(wanted.values())))
        self._walk.expect(sum(ref.node.op not in FOLLOWED for ref in needed))
        for ref in needed:
            self._add(ref)
        names = []
        for name, ref in wanted.items():
            value = self._value(ref)
            if not isinstance(value, str) or self._is_constant(value):
                raise UnsupportedError(f"its output {quote_name(name)} is a constant")
            names.append(value)
        # The sizes were chosen above.
        chosen = replace(self._options, shapes={}, size=None, outputs=())
        file = self._file
        if file.names_outputs and not self._options.outputs:
            made = self._walk.network_with_names(dict(zip(wanted, names, strict=True)), chosen)
        else:
            made = self._walk.network(list(dict.fromkeys(names)), chosen)
        made.notes += notes(file.outputs.values(), file.initialisers, set(needed), file.assets, file.others)
        return made

    def _is_constant(self, blob: str) -> bool:
        return self._builder.has(blob) and self._builder.constant_of(self._builder.tensor(blob)) is not None

    def _wanted(self) -> dict[str, Ref]:
        """Return the outputs by name: those of the file, or the results of operators that the caller chose."""
        all_ = {name: self._flow.source(ref) for name, ref in self._file.outputs.items()}
        if not self._options.outputs or set(self._options.outputs) <= set(all_):
            return {name: all_[name] for name in self._options.outputs or all_}
        found = {ref.name: ref for ref in self._flow.in_order(list(all_.values()))}
        for name in self._options.outputs:
            if name not in found:
                raise ParameterError(
                    f"{self._file.origin}: its outputs need no operator {quote_name(name)}{did_you_mean(name, found)}"
                )
        return {name: found[name] for name in self._options.outputs}

    # ---- Operators -------------------------------------------------------------------------------------------------

    def _add(self, ref: Ref) -> None:
        node = ref.node
        if self._flow.is_input(ref):
            self._put(ref, [self._inputs[ref.name]])
            return
        if node.op == "Const":
            self._put(ref, [Constant.of(self._flow.value(ref), self._flow.budget)])
            return
        if node.op in VARIABLES:
            self._put(ref, [Constant.of(self._file.variable(ref), self._flow.budget)])
            return
        operands = [self._value(operand) for operand in self._flow.operands(ref)]
        self._convert(ref, node.op, node.attributes, operands)

    def _put(self, ref: Ref, values: Sequence[Operand]) -> None:
        for index, value in enumerate(values):
            self._values[Ref(ref.scope, ref.name, index)] = value

    def _value(self, ref: Ref) -> Operand:
        value = self._values.get(ref)
        if value is None and ref.node.op not in ROWS:
            # An operator without a row has one blob, which stands for all of its results.
            value = self._values.get(Ref(ref.scope, ref.name))
        if value is None:
            raise WeightsError(f"damaged: {quote_name(ref.name)} has no result {ref.place}")
        return value

    def _convert(self, ref: Ref, kind: str, attributes: dict[str, Any], operands: list[Operand]) -> None:
        row = ROWS.get(kind)
        refusal = REFUSED.get(kind, _UNKNOWN) if row is None else None
        made = self._results(ref, kind, attributes)
        operation = Operation(self._builder, kind, attributes, operands, self._blocks, self._weights)

        def converted() -> Sequence[str]:
            assert row is not None
            if kind not in IN_BLOCKS and any(
                operand in self._blocks for operand in operands if isinstance(operand, str)
            ):
                raise UnsupportedError("computes with images that are divided into blocks of the batch")
            result = operation.run(row)
            if (block := block_of(self._builder, operation)) is not None:
                self._blocks[made[0]] = block
            return [result] if isinstance(result, str) else result

        reads = [operand for operand in operands if isinstance(operand, str)]
        self._walk.layer(kind, made[0], reads, made, converted, refusal)
        self._put(ref, made)

    def _results(self, ref: Ref, kind: str, attributes: dict[str, Any]) -> list[str]:
        count = 2 if kind in ("MaxPoolWithArgmax", "TopKV2") else 1
        if kind in ("ShapeN", "Split", "SplitV", "Unpack"):
            key = max(
                (key for key in ("N", "num_split", "num") if key in attributes),
                key=lambda key: int(attributes[key].i),
            )
            count = int(attributes[key].i)
            if not 1 <= count <= 1024:
                raise WeightsError(
                    f"damaged: {kind} {quote_name(ref.name)} has {count} results by its {key!r}; it may have 1 to 1024"
                )
            self._flow.count(count)
        name = self._names.unique(ref.name)
        return [name if index == 0 else f"{name}:{index}" for index in range(count)]


def _is_whole(placeholder: Node) -> bool:
    attributes = placeholder.attributes
    return "dtype" in attributes and attributes["dtype"].type in _INDICES


_INDICES = (3, 9)  # the types of indices: int32 and int64
