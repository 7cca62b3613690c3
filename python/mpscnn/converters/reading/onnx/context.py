"""The state of a conversion that the operators of an ONNX file share: the network that is built, and its sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.planned_names import PlannedNames
from mpscnn.converters.opening.broadcast_views import is_filled
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.onnx.known_results import Expanded, FileIntegers, KnownResults
from mpscnn.converters.reading.onnx.layouts import InputLayout
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.converters.reading.onnx.tensors import element_type, type_number
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.float32_intermediates import Operators
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC, Atom, product
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

# The suffixes of layers that this reader inserts to move elements.
_INSERTED = re.compile(r"(/indices|/reshape|/transpose|/shuffle|/part)(_\d+)?$")
_MAX_INSERTED = 16
# The operators of a file that may stand for an inserted layer, by the suffix of the layer.
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_MOVES = {"/reshape": _RESHAPES, "/transpose": frozenset({"Transpose"}), "/shuffle": _RESHAPES}
_ALL_MOVES = _RESHAPES | {"Transpose"}
# A weight whose elements are all one number is stored as 8-bit integers if it has more elements than this.
_LARGE_FILLED = 1 << 16

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
        self.names = names
        self._named = (
            0  # the number of the network's first layers whose names were recorded by `take_layer_names`
        )
        self.results = results
        self.parameters = Parameters(None) if parameters is None else parameters
        self.values: dict[str, FileTensor] = {}
        self.integers = FileIntegers()
        self.known = KnownResults()
        # The names of constants in the file that are weights, by layer and role; None: a weight is no such constant.
        self.weights: dict[tuple[str, str], str | None] = {}
        self._learnt: dict[tuple[str, tuple[int, ...]], Tensor] = {}  # by the name and shape of a parameter
        self.nodes: Sequence[Node] = ()  # the nodes that the network needs
        self.input_layouts: tuple[InputLayout, ...] = ()
        self.notes: list[str] = []
        self.composed: Operators | None = Operators(network)  # None: the file has integers for all results
        self.operators: dict[str, Node] = {}  # the node whose result a layer computes
        self._claims: list[tuple[str, str, str]] = []  # parameters, with the layer and role of their weight
        self.renamed: dict[str, str] = {}  # other names of tensors, which were known only at the end
        self._node: Node | None = None
        self.arranger = Arranger(network, batch, self._inserted_name, constants.budget)

    def begin(self, node: Node) -> None:
        """Begin the conversion of a node: layers that are added from now on get its name."""
        self._node = node

    def take_layer_names(self) -> None:
        """Record the names of the layers that were added with names of their own."""
        added = self.network.layer_names(self._named)
        self._named += len(added)
        self.names.take(added)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give tensors of the file other names."""
        self.renamed = dict(names)
        tables: list[dict[str, Any]] = [self.values, self.known.deferred]
        for table in tables:
            for old in names.keys() & table.keys():
                table[names[old]] = table.pop(old)
        self.constants.rename(names)

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
            if self.learns(name):
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
        deferred, reader = self.known.deferred[name], self._node
        self.begin(deferred.node)
        try:
            self.values[name] = deferred.make().prepend_batch(self.arranger.batch)
        finally:
            self._node = reader

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
            self._claims.append((name, made.name, "value"))
            return FileTensor.from_tensor(self.arranger, made)
        layer = self.constant_layer(name) if parameter is None else self.names.unique(parameter.strip("/"))
        shape = numbers.shape or (1,)
        tensor = self.network.constant(self.network.inputs[0], shape, name=layer)
        self.set_weight(layer, "value", numbers.reshape(shape), name if parameter else None)
        if parameter is not None:
            self._learnt[parameter, numbers.shape] = tensor
        value = FileTensor.from_tensor(self.arranger, tensor)
        return value if numbers.shape else replace(value, axes=())

    def constant_with_batch_of(self, name: str, like: FileTensor) -> FileTensor:
        """Return a constant of the file as a layer's result whose batch is in the same axis as that of a tensor."""
        axes = like.axes
        axis = next((i for i, atoms in enumerate(axes) if any(atom.is_batch for atom in atoms)), None)
        if axis is None or like.has_batch_first or self.learns(name):
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
        layer = self.constant_layer(name)
        tensor = self.network.constant(self.network.inputs[0], numbers.shape, name=layer)
        self.set_weight(layer, "value", numbers)
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

    def learns(self, name: str) -> bool:
        """Return True if a constant is a trainable parameter, possibly with rearranged elements."""
        return self.parameters.made_of(name) is not None

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
        """Return True if nodes read a tensor, or if it is an output."""
        return bool(name) and (name in self.file.users or name in self.results)

    def refuse_results(self, node: Node, first: int, what: str) -> None:
        """Raise UnsupportedError if the file uses the node's results from number `first` on; `what` describes them."""
        for name in node.outputs[first:]:
            if self.is_used(name):
                raise UnsupportedError(
                    f"its result {quote_name(name)} ({what}) is used, which is not supported"
                )

    # ---- Layers ----------------------------------------------------------------------------------------------------

    def layer_name(self, node: Node, suffix: str = "", known: str = "") -> str:
        """Return a unique name: the node's name with a suffix. An end `known`, as in files of mpscnn, is removed."""

        def stem(_: PlannedNames) -> str:
            return _stem(node, known) + suffix

        return self._planned(node, suffix, stem)

    def constant_layer(self, name: str) -> str:
        """Return a unique name for the layer of a constant of the file."""
        return self.names.unique(
            self.file.constant_of(name).strip("/"),
            lambda _: self.file.constant_of(self.renamed.get(name, name)).strip("/"),
        )

    def _inserted_name(self, suffix: str) -> str:
        """Return the name of a layer that only moves elements for a node."""
        node = self._node
        if node is None:
            return self.names.unique(suffix.strip("/"))

        def stem(names: PlannedNames) -> str:
            return next(filter(names.is_free, self._known_before(node, suffix)), _stem(node) + suffix)

        return self._planned(node, suffix, stem)

    def _planned(self, node: Node, suffix: str, final: Callable[[PlannedNames], str]) -> str:
        name = self.names.unique(_stem(node) + suffix, final)
        if not suffix:
            self.operators[name] = node
        return name

    def _known_before(self, node: Node, suffix: str) -> list[str]:
        """Return names for an inserted layer before a node.

        A file that mpscnn wrote may contain nodes for layers that a reader had inserted. Their names, in the order of
        computation, are used again. After them come the names of nodes whose moves the layer may do, the nearest first.
        """
        inserted: list[str] = []
        moves: list[str] = []
        waiting = [node]
        for _ in range(_MAX_INSERTED):
            if not waiting:
                break
            here = waiting.pop(0)
            found = _INSERTED.search(here.layer)
            if found and found[1] == suffix:
                inserted.insert(0, here.layer)
            elif here.kind in _MOVES.get(suffix, ()) and (suffix != "/shuffle" or self._ends_shuffle(here)):
                moves.append(here.layer.strip("/"))
            if found or here is node or here.kind in _ALL_MOVES:
                operands = here.inputs[:_MAX_INSERTED]
                waiting += [self.file.makers[name] for name in operands if name in self.file.makers]
        return inserted + moves

    def _ends_shuffle(self, node: Node) -> bool:
        """Return True for a Reshape after a Transpose of other axes than those of an image."""
        before = self.file.makers.get(node.inputs[0])
        if before is None or before.kind != "Transpose":
            return False
        return tuple(before.integers("perm", ())) not in (TO_NHWC, TO_NCHW)

    def set_weight(self, layer: str, role: str, values: NDArray[np.generic], name: str | None = None) -> None:
        """Set a weight of a layer, in the layer's memory order.

        `name` is the constant of the file that has the same elements, each once and unchanged; None: there is none.
        """
        is_one_number = is_filled(values)
        self.constants.count_weight(4 * values.size, is_filled=is_one_number)
        self.weights[layer, role] = name
        if name is not None and self.learns(name) and values.size == self.constants.size_of(name):
            self._claims.append((name, layer, role))
        if is_one_number and values.size > _LARGE_FILLED:
            # Each element is (0 - zero point) * scale, with the zero point -1 and the number as the scale.
            number = float(np.float32(values.reshape(-1)[0]))
            self.network.graph.set_weight(layer, role, np.zeros(values.shape, np.uint8), [number], [-1.0])
            return
        numbers = values.astype(np.float32, copy=False)
        # The core does not accept broadcast arrays (strides of 0).
        if is_one_number or not any(numbers.strides):
            numbers = np.ascontiguousarray(numbers)
        self.network.graph.set_weight(layer, role, numbers)

    def has_weight(self, layer: str, role: str) -> bool:
        """Return True if a weight of a layer is set."""
        return (layer, role) in self.weights

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
        self.names = names
        own, layers = self.integers.of_tensors, {**final, **into}
        self.integers.of_tensors = {layers.get(name, name): integers for name, integers in own.items()}
        weights = self.weights.items()
        self.weights = {(final[layer], role): name for (layer, role), name in weights if layer in final}
        for name, layer, role in self._claims:
            if layer in final:
                self.parameters.claim(name, final[layer], role)

    def set_factors(self, layer: str, factors: Mapping[str, tuple[NDArray[np.generic], str | None]]) -> None:
        """Set the scale and offset of a normalization: by role, the arguments of `set_weight`.

        A module without them is exported with scales of 1 and offsets of 0. For training these are not set, because
        they must not be trained.
        """
        for role, (values, name) in factors.items():
            neutral = 1.0 if role == "gamma" else 0.0
            is_parameter = name is not None and self.learns(name)
            if self.parameters.are_followed and not is_parameter and bool((values == neutral).all()):
                continue
            self.set_weight(layer, role, values, name)


def _stem(node: Node, known: str = "") -> str:
    return node.layer.strip("/").removesuffix(known) or node.kind.lower()
