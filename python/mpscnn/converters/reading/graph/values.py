"""Find the values of the operators of a graph that is still being built: constants, and shapes of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.graph import Graph
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.conversion import convert_node
from mpscnn.converters.reading.onnx.element_types import type_of_elements
from mpscnn.converters.reading.onnx.file import Described, OnnxFile
from mpscnn.converters.reading.onnx.inputs import FileInput, add_batch, read_input, unify_batch
from mpscnn.converters.reading.onnx.known_results import Expanded
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.converters.reading.onnx.reader import begin
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.float32_intermediates import Origin
from mpscnn.converters.values.stored_integers import StoredIntegers
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

Extents = tuple[int | None, ...]

_KINDS = {"i": "int", "u": "int", "b": "bool"}


class Values(Graph):
    """A graph of operators of the vocabulary, each of which is converted at once by its row.

    So the shapes of its tensors are known, and the numbers of those that do not depend on the inputs.

    Args:
        origin: the name of the model's file, for messages.
        title: the name of the network.
        inputs: the descriptions of the inputs.
        size: a function that returns the bytes of the network's files, which limit the work with constants.
        keeps_axes: as for `OnnxFile`.
    """

    def __init__(
        self,
        origin: str,
        title: str,
        inputs: Sequence[Described],
        size: Callable[[], int],
        *,
        keeps_axes: bool,
    ) -> None:
        super().__init__(origin, inputs, keeps_axes=keeps_axes)
        self._of_layer = Origin()  # the layer whose operators are added
        self._origins: dict[str, Origin] = {}  # the layer of the other format, by the tensor
        self._graph = self._file([""], grows=True)
        self._options, self._size = ReadOptions(title), size
        self._context: Context | None = None
        self._given: list[FileInput] = []
        # Without inputs all results would be constants, which the conversion of the graph refuses.
        if inputs:
            read = [read_input(self._graph, one, self._options) for one in self._inputs]
            self._given = unify_batch(read, self._graph)
            self._context = self._begun(self._given)
        self._may_add_batch = all(one.extents[0] not in (None, 1) for one in self._given)

    def _begun(self, given: Sequence[FileInput]) -> Context:
        constants = Constants(self._graph, Parameters(None), self._size)
        return begin(self._graph, self._options, given, constants)

    def _converted(self, file: OnnxFile, names: Mapping[str, str]) -> Context | None:
        """Return the converted graph. It is used up.

        The result is None if the complete graph shows that an input has another layout, such as channels last. The
        graph must then be converted again.

        Args:
            file: the complete graph.
            names: the names of tensors in it, if they are not those of the added nodes.
        """
        given = unify_batch([read_input(file, one, self._options) for one in self._inputs], file)
        c = self._context
        if c is None or given != self._given:
            return None
        c.complete(file, names)
        return c

    def _append(self, node: Node) -> None:
        """Add a node, and convert it.

        Raises UnsupportedError, WeightsError and the like if the ONNX reader cannot convert the node.
        """
        self._graph.makers.update(dict.fromkeys(node.outputs, node))
        self._origins |= dict.fromkeys(node.outputs, self._of_layer)
        if ops.have_one_type(node) and len({self._kind(name) for name in node.inputs if name}) > 1:
            raise WeightsError("damaged: its operands have elements of different types")
        if self._context is not None:
            try:
                convert_node(self._context, node, self._of_layer)
            except (UnsupportedError, ParameterError) as error:
                self._add_batch(node, error)
        super()._append(node)

    def _add_batch(self, node: Node, error: Exception) -> None:
        """Convert all nodes again with a batch in front of a fixed first axis, as the ONNX reader does.

        This allows what combines images of a batch. Raises the given error, because of which it is tried, if it fails.
        """
        if not self._may_add_batch:
            raise error
        self._may_add_batch = False
        try:
            c = self._begun([add_batch(one) for one in self._given])
            for added in [*self._nodes, node]:
                convert_node(c, added, self._origins[added.outputs[0]])
        except (UnsupportedError, ParameterError):
            raise error from None
        self._context = c

    def extents(self, name: str) -> Extents:
        """Return the shape of a tensor, with None for free extents. Raises UnsupportedError if it is not known."""
        return tuple(low if low == high else None for low, high in zip(*self.trial_shapes(name), strict=True))

    def trial_shapes(self, name: str) -> tuple[list[int], list[int]]:
        """Return the shape of a tensor twice: with the first and with the second number of each free extent.

        Raises UnsupportedError if the shape is not known.
        """
        if name in self._constants:
            shape = list(self._constants[name].shape)
            return shape, shape
        c = self._context
        if c is not None and (expanded := c.read_instead(name, Expanded)) is not None:
            return expanded.shapes
        if c is not None and (name in c.values or name in c.known.deferred):
            return c.value(name, whole_numbers=True).trial_shapes()
        if c is not None and (constant := c.constants.find(name)) is not None:
            return list(constant.low.shape), list(constant.high.shape)
        raise UnsupportedError("the shape of its input is not known")

    def constant_of(self, name: str) -> Constant | None:
        """Return a tensor that is a constant; None for tensors that the network computes."""
        return None if self._context is None else self._context.constants.find(name)

    def constant_integers(self, name: str, what: str) -> list[int]:
        """Return a constant tensor of whole numbers as a list; see `Constants.integers`."""
        if self._context is None:
            raise UnsupportedError("it has no inputs")
        return self._context.constants.integers(name, what)

    def maker(self, tensor: str, *functions: Callable[..., object]) -> Node | None:
        """Return the operator that computes a tensor if one of these functions of the vocabulary has added it."""
        return ops.added_by(self._graph.makers.get(tensor), *functions)

    def fixed_shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a tensor whose extents must be known, except that a free batch counts as 1."""
        extents = self.extents(tensor)
        if None in extents[1:]:
            raise UnsupportedError(f"needs to know the size of its input, which is free: {CHOOSE_SIZE}")
        return tuple(1 if extent is None else extent for extent in extents)

    def rank(self, tensor: str) -> int:
        """Return the number of axes of a tensor."""
        return len(self.extents(tensor))

    def axis(self, tensor: str, axis: int) -> int:
        """Return the number of an axis counted from the front. Raises WeightsError if there is no such axis."""
        rank = self.rank(tensor)
        if not -rank <= axis < rank:
            raise WeightsError(f"damaged: axis {axis} of {rank}")
        return axis % rank

    def note_integers(self, name: str, integers: StoredIntegers) -> None:
        """Record the integers from which a constant was decompressed."""
        self._integers[name] = integers

    def is_integer(self, tensor: str) -> bool:
        """Return True if a tensor has whole numbers."""
        return self._kind(tensor) == "int"

    def is_boolean(self, tensor: str) -> bool:
        """Return True if a tensor has truth values."""
        return self._kind(tensor) == "bool"

    def _kind(self, name: str) -> str:
        """Return the kind of a tensor's elements: "bool", "int" or "float"."""
        if (stored := self._constants.get(name)) is not None:
            return "float" if isinstance(stored, Blob) else _KINDS.get(stored.dtype.kind, "float")
        element = "" if self._context is None else type_of_elements(self._context, name)
        return "int" if "int" in element else "bool" if element == "bool" else "float"
