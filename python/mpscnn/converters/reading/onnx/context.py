"""The state of a conversion that the operators of an ONNX file share: the network that is built, and its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from mpscnn.converters.finishing.planned_names import PlannedNames
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.onnx.known_results import Expanded, FileIntegers, KnownResults
from mpscnn.converters.reading.onnx.layer_naming import LayerNaming
from mpscnn.converters.reading.onnx.layer_weights import LayerWeights
from mpscnn.converters.reading.onnx.layouts import InputLayout
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.converters.reading.onnx.tensors import element_type, type_number
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.float32_intermediates import Operators
from mpscnn.converters.values.layout import Atom, product
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Instead = TypeVar("Instead")
Made = Value | Sequence[Value] | None
"""The result or the results of a node. None: its row has set them itself."""


class Context:
    """The network that is built, with the values and constants of the file.

    Args:
        network: the network to which the layers are added.
        file: the file that is converted.
        constants: the constants of the file.
        names: makes the names of the network's layers.
        batch: the atom of the batch; None: the file's tensors have no batch.
        results: the names of the file's tensors that are the network's outputs.
        parameters: the trainable parameters of the module that was exported to the file; None: they are not tracked.
    """

    def __init__(
        self,
        network: Network,
        file: OnnxFile,
        constants: Constants,
        names: PlannedNames,
        batch: Atom | None,
        results: frozenset[str],
        parameters: Parameters | None = None,
    ) -> None:
        self.network = network
        self.file = file
        self.constants = constants
        self.results = results
        self.parameters = Parameters(None) if parameters is None else parameters
        self.naming = LayerNaming(network, file, names)
        self.weights = LayerWeights(network, constants, self.parameters)
        self.arranger = Arranger(network, batch, self.naming.inserted, constants.budget)
        self.composed: Operators | None = Operators(network)  # None: the file has integers for all results
        self.values: dict[str, FileTensor] = {}
        self.integers = FileIntegers()
        self.known = KnownResults()
        self.nodes: Sequence[Node] = ()  # the nodes that the network needs
        self.input_layouts: tuple[InputLayout, ...] = ()
        self.notes: list[str] = []
        self._learnt: dict[tuple[str, tuple[int, ...]], Tensor] = {}  # by the name and shape of a parameter

    # ---- Operands and results --------------------------------------------------------------------------------------

    def value(self, name: str | None, *, whole_numbers: bool = False) -> FileTensor:
        """Return a tensor of the file that the network computes.

        Integers are refused unless `whole_numbers` is True.
        """
        if not name:
            raise UnsupportedError("an operand is left out, which is not supported")
        if name in self.integers.quantized:
            raise UnsupportedError(
                f"computes with {quote_name(name)}, which is quantised; only what is dequantised again can be"
            )
        if name in self.known.deferred and name not in self.values:
            self._make(name)
        if name not in self.values:
            if self.parameters.learns(name):
                return self.constant(name)
            if self.is_constant(name):
                raise UnsupportedError(
                    f"its operand {quote_name(name)} is a constant, which is not supported here"
                )
            raise UnsupportedError(f"its operand {quote_name(name)} is the result of no layer")
        value = self.values[name]
        if value.whole_numbers and not whole_numbers:
            raise UnsupportedError(f"computes with the integers {quote_name(name)}, which is not supported")
        return value

    def _make(self, name: str) -> None:
        """Add the layers that compute a result when the first node reads it."""
        deferred = self.known.deferred[name]
        reader = self.naming.begin(deferred.node)
        try:
            self.values[name] = deferred.make().prepend_batch(self.arranger.batch)
        finally:
            self.naming.begin(reader)

    def read_instead(self, name: str, kind: type[Instead]) -> Instead | None:
        """Return what a node may read instead of a result, if it is of this kind; otherwise None."""
        deferred = self.known.deferred.get(name)
        return deferred.instead if deferred is not None and isinstance(deferred.instead, kind) else None

    def broadcast_values(self, names: Sequence[str], *, whole_numbers: bool = False) -> list[FileTensor]:
        """Return operands that will be broadcast. Expand is left out if another operand has the shape of its result."""
        found = [None if name in self.values else self.read_instead(name, Expanded) for name in names]
        known = [name for name, expanded in zip(names, found, strict=True) if expanded is None]
        shapes = [self.value(name, whole_numbers=whole_numbers).trial_shapes() for name in known]
        values = []
        for name, expanded in zip(names, found, strict=True):
            if expanded is not None and expanded.shapes in shapes:
                values.append(expanded.x)
            else:
                values.append(self.value(name, whole_numbers=whole_numbers))
        return values

    def x(self, node: Node, *, whole_numbers: bool = False) -> FileTensor:
        """Return the first operand, which the network must compute."""
        return self.value(node.inputs[0], whole_numbers=whole_numbers)

    def tensor(self, name: str, rank: int | None = None, *, whole_numbers: bool = False) -> FileTensor:
        """Return a constant or computed operand; see `constant` and `value`."""
        if self.is_constant(name):
            return self.constant(name, rank)
        return self.value(name, whole_numbers=whole_numbers)

    def tensors(self, names: Sequence[str], *, whole_numbers: bool = False) -> list[FileTensor]:
        """Return constant or computed operands. Constants get the rank of the first computed one."""
        rank = self.rank_of(names, whole_numbers=whole_numbers)
        return [self.tensor(name, rank, whole_numbers=whole_numbers) for name in names]

    def rank_of(self, names: Sequence[str], *, whole_numbers: bool = False) -> int:
        """Return the number of axes of the first operand that is computed."""
        return self.first_computed(names, whole_numbers=whole_numbers).rank

    def first_computed(self, names: Sequence[str], *, whole_numbers: bool = False) -> FileTensor:
        """Return the first operand that the network computes."""
        for name in names:
            if not self.is_constant(name):
                return self.value(name, whole_numbers=whole_numbers)
        raise UnsupportedError("all its inputs are constants, which is not supported")

    def constant(self, name: str, rank: int | None = None, *, what: str = "its operand") -> FileTensor:
        """Return a constant of the file as a layer's result. It must be the same for each image of the batch.

        Args:
            name: the name of the constant in the file.
            rank: the number of axes to which it is extended by axes of extent 1 in front; None: no extension.
            what: the name of the operand in messages.
        """
        stored, batch = self.constants.find(name), self.arranger.batch
        has_batch = stored is not None and batch is not None and batch.high == 1 and stored.low.ndim == rank
        if has_batch and stored is not None and stored.low.shape[:1] not in ((), (1,)):
            # The first axis is not the batch alone, so the constant gets one more axis for it.
            return self.constant(name, stored.low.ndim + 1, what=what).merge_axes(0, 2)
        parameter = self.parameters.made_of(name)
        known = quote_name(parameter or name)
        numbers = self.constants.of_one_image(name, rank, self.arranger.batch, f"{what} {known}")
        if parameter is not None and (made := self._learnt.get((parameter, numbers.shape))):
            self.weights.claim(name, made.name, "value")
            return FileTensor.from_tensor(self.arranger, made)
        layer = (
            self.naming.of_constant(name)
            if parameter is None
            else self.naming.planned.unique(parameter.strip("/"))
        )
        shape = numbers.shape or (1,)
        tensor = self.network.constant(self.network.inputs[0], shape, name=layer)
        self.weights.set(layer, "value", numbers.reshape(shape), name if parameter else None)
        if parameter is not None:
            self._learnt[parameter, numbers.shape] = tensor
        value = FileTensor.from_tensor(self.arranger, tensor)
        return value if numbers.shape else replace(value, axes=())

    def constant_with_batch_of(self, name: str, like: FileTensor) -> FileTensor:
        """Return a constant of the file as a layer's result whose batch is in the same axis as that of a tensor."""
        axes = like.axes
        axis = next((i for i, atoms in enumerate(axes) if any(atom.is_batch for atom in atoms)), None)
        if axis is None or like.has_batch_first or self.parameters.learns(name):
            return self.constant(name, like.rank)
        batch = next(atom for atom in axes[axis] if atom.is_batch)
        before = product(axes[axis][: axes[axis].index(batch)]) or 1
        known = f"its operand {quote_name(name)}"
        stored = self.constants.find(name)
        has_rank = stored is not None and stored.is_fixed and stored.low.ndim == like.rank
        if batch.low == 1 and has_rank and stored is not None and stored.low.shape[0] != 1:
            # The numbers are those of one image, as of an attention whose queries are constants.
            return self.constant(name, like.rank + 1).merge_axes(0, 2)
        numbers = self.constants.of_one_image(name, like.rank, batch, known, (axis, before))
        layer = self.naming.of_constant(name)
        tensor = self.network.constant(self.network.inputs[0], numbers.shape, name=layer)
        self.weights.set(layer, "value", numbers)
        value = FileTensor.from_tensor(self.arranger, tensor)
        own = value.axes[1:]
        with_batch = (*own[axis], batch, *own[axis + 1])
        return replace(value, axes=(*own[:axis], with_batch, *own[axis + 2 :]))

    def is_constant(self, name: str) -> bool:
        """Return True if a tensor of the file does not depend on its inputs."""
        return self.constants.holds(name)

    def type_of(self, name: str) -> str:
        """Return ONNX' name of a tensor's element type."""
        constant = self.constants.find(name)
        if constant is not None:
            return element_type(type_number(constant.low.dtype))
        if not self.value(name, whole_numbers=True).whole_numbers:
            return "float"
        stated = self.file.stated.get(name)
        if stated is None:
            raise UnsupportedError(f"makes the type of {quote_name(name)}, which the file does not state")
        return stated.type

    def put(self, node: Node, made: Made) -> None:
        """Set what the network computes for the node's results."""
        if made is None:
            return
        for name, value in zip(node.outputs, made if isinstance(made, Sequence) else [made], strict=False):
            if name and isinstance(value, Constant):
                self.constants.put(name, value)
            elif name and isinstance(value, FileTensor):
                has_batch = any(atom.is_batch for axis in value.axes for atom in axis)
                batch = None if has_batch else self.arranger.batch
                self.values[name] = value.prepend_batch(batch)

    def only_user(self, name: str) -> Node | None:
        """Return the single consumer of a tensor; None if there are several, or if the tensor is an output."""
        users = self.file.users.get(name, [])
        return users[0] if len(users) == 1 and name not in self.results else None

    def users(self, name: str) -> list[Node]:
        """Return the nodes that read a tensor."""
        return self.file.users.get(name, [])

    def is_used(self, name: str) -> bool:
        """Return True if nodes read a tensor, or if it is an output. While a graph grows, any tensor may be read."""
        return bool(name) and (self.file.grows or name in self.file.users or name in self.results)

    def refuse_results(self, node: Node, first: int, what: str) -> None:
        """Raise UnsupportedError if the file uses the node's results from number `first` on; `what` describes them."""
        for name in node.outputs[first:]:
            if self.is_used(name) and not self.file.grows:
                raise UnsupportedError(
                    f"its result {quote_name(name)} ({what}) is used, which is not supported"
                )

    def complete(self, file: OnnxFile, names: Mapping[str, str]) -> None:
        """Set the complete file, if its nodes were converted while it grew. `names` has other names of its tensors."""
        tables: list[dict[str, Any]] = [self.values, self.known.deferred]
        for table in tables:
            for old in names.keys() & table.keys():
                table[names[old]] = table.pop(old)
        self.constants.rename(names)
        self.naming.complete(file, names)
        self.file, self.nodes = file, file.nodes

    def finish(
        self, network: Network, names: PlannedNames, final: Mapping[str, str], into: Mapping[str, str]
    ) -> None:
        """Replace the network by the complete one, and name its layers in what is known of weights and integers.

        Args:
            network: the complete network, with its weights.
            names: the names of its layers.
            final: the layers of the complete network by their names until now.
            into: the same for layers that became a part of another one.
        """
        self.network = self.arranger.network = network
        self.naming.planned = names
        own, layers = self.integers.of_tensors, {**final, **into}
        self.integers.of_tensors = {layers.get(name, name): integers for name, integers in own.items()}
        self.weights.finish(network, final)
