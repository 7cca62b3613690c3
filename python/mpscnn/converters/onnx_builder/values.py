"""Find the values of the operators of a graph that is still being built: constants, and shapes of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.layout import batch_atom
from mpscnn.converters.onnx_reader.constants import Constants
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.conversion import convert_node
from mpscnn.converters.onnx_reader.file import Described, OnnxFile
from mpscnn.converters.onnx_reader.inputs import FileInput, add_batch, read_input, unify_batch
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.parameters import Parameters
from mpscnn.converters.planned_names import PlannedNames
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

OPSET = 20
"""The version of ONNX' operators."""

FLOAT, INT64, BOOL = 1, 7, 9
"""ONNX' numbers of element types."""

Extents = tuple[int | None, ...]

# Operators whose results are truth values, and those whose results are positions.
_TRUTHS = frozenset(
    {
        "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor",
    }
)  # fmt: skip
_POSITIONS = frozenset({"ArgMax", "ArgMin", "NonZero", "Shape", "Size"})
# Operators whose operands have elements of one type.
_OF_ONE_TYPE = frozenset(
    {
        "Add", "BatchNormalization", "Concat", "Conv", "ConvTranspose", "Div", "Gemm", "MatMul", "Max", "Min", "Mul",
        "Sub",
    }
)  # fmt: skip
# The operand whose type the result has, if it is not the first one.
_TYPED_BY = {"Where": 1, "OneHot": 2}
# A later operator may make these superfluous, so a reason against them is only raised if their shape is needed.
_MAY_VANISH = frozenset({"Expand", "Pad"})


class _ShapeContext(Context):
    """Converts operators without their weights. What reads a result is not known yet."""

    def set_weight(self, layer: str, role: str, values: NDArray[np.generic], name: str | None = None) -> None:
        """Leave out the weight, because no shape depends on it."""

    def is_used(self, name: str) -> bool:
        """Return True, unless the result is left out."""
        return bool(name)

    def refuse_results(self, node: Node, first: int, what: str) -> None:
        """Refuse nothing: the results may stay unused."""


class Values:
    """The values of a graph's tensors. Each operator is converted at once by the table of the ONNX reader.

    The layers go to a network that is thrown away. The whole graph is converted later, because some operators become a
    part of the layer before them.

    Args:
        origin: the name of the model's file, for messages.
        inputs: the shapes of the inputs by name; None stands for a free extent.
        elements: the element types of the inputs by name.
        tensors: the constants of the graph by name. It may grow.
        size: a function that returns the bytes of the network's files, which limit the work with constants.
        keeps_axes: as for `OnnxFile`.
    """

    def __init__(
        self,
        origin: str,
        inputs: Mapping[str, Extents],
        elements: Mapping[str, int],
        tensors: Mapping[str, Any],
        size: Callable[[], int],
        *,
        keeps_axes: bool,
    ) -> None:
        names = {FLOAT: "float", INT64: "int64", BOOL: "bool"}
        self.inputs = [
            Described(name, names[elements[name]], tuple(extents)) for name, extents in inputs.items()
        ]
        self._tensors = tensors
        self._elements = dict(elements)
        self._reasons: dict[str, str] = {}  # why the shapes of some tensors are not known
        self._file = OnnxFile(
            origin, [], self.inputs, [""], tensors, size=0, opset=OPSET, keeps_axes=keeps_axes
        )
        self._contexts: list[Context] = []
        if not inputs:
            return  # all results would be constants, which the conversion of the whole graph refuses
        options = ReadOptions("shapes")
        given = unify_batch([read_input(self._file, one, options) for one in self.inputs], self._file)
        self._contexts.append(self._context(given, size))
        # As in the ONNX reader, a batch in front of a fixed first axis allows what combines images of a batch.
        if all(one.extents[0] not in (None, 1) for one in given):
            with suppress(UnsupportedError):  # there may be no room for another axis
                self._contexts.append(self._context([add_batch(one) for one in given], size))

    def _context(self, given: Sequence[FileInput], size: Callable[[], int]) -> Context:
        network = ReadOptions("shapes").network({one.name: one.own for one in given}, self._file.origin)
        batch = batch_atom(given[0].extents[0])
        constants = Constants(self._file, Parameters(None), size)
        c = _ShapeContext(network, self._file, constants, PlannedNames(), batch, frozenset())
        for one, tensor in zip(given, network.inputs, strict=True):
            c.values[one.name] = one.seen(FileTensor.from_tensor(c.arranger, tensor))
        return c

    def add(self, node: Node) -> None:
        """Find the values of a node's results.

        Raises UnsupportedError, WeightsError and the like if the ONNX reader cannot convert the node.
        """
        self._file.makers.update(dict.fromkeys(node.outputs, node))
        if node.kind in _OF_ONE_TYPE and len({self.element(name) for name in node.inputs if name}) > 1:
            raise WeightsError("damaged: its operands have elements of different types")
        for place, name in enumerate(node.outputs):
            self._elements[name] = self._element_of(node, place)
        reason = next((self._reasons[name] for name in node.inputs if name in self._reasons), None)
        reason = reason or self._convert(node)
        if reason is not None:
            self._reasons |= dict.fromkeys(node.outputs, reason)

    def _convert(self, node: Node) -> str | None:
        """Convert a node. Return the reason if that is not possible now, but may be when its readers are known."""
        errors: list[UnsupportedError | ParameterError] = []
        able = []
        for c in self._contexts:
            c.begin(node)
            try:
                convert_node(c, node)
            except (UnsupportedError, ParameterError) as error:
                errors.append(error)
            else:
                able.append(c)
        if able:
            self._contexts = able
        elif not errors:
            return "it has no inputs"
        elif node.kind in _MAY_VANISH:
            return str(errors[0])
        else:
            raise errors[0]
        return None

    def extents(self, name: str) -> Extents:
        """Return the shape of a tensor, with None for free extents. Raises UnsupportedError if it is not known."""
        return tuple(low if low == high else None for low, high in zip(*self.trial_shapes(name), strict=True))

    def trial_shapes(self, name: str) -> tuple[list[int], list[int]]:
        """Return the shape of a tensor twice: with the first and with the second number of each free extent.

        Raises UnsupportedError if the shape is not known.
        """
        if name in self._tensors:
            shape = list(self._tensors[name].shape)
            return shape, shape
        for c in self._contexts[:1]:
            if name in c.values:
                return c.values[name].trial_shapes()
            if (constant := c.constants.find(name)) is not None:
                return list(constant.low.shape), list(constant.high.shape)
        raise UnsupportedError(self._reasons.get(name, "the shape of its input is not known"))

    def element(self, name: str) -> int:
        """Return ONNX' number of a tensor's element type."""
        stored = self._tensors.get(name)
        kind = stored.dtype.kind if isinstance(stored, np.ndarray) else ""
        if kind:
            return INT64 if kind in "iu" else BOOL if kind == "b" else FLOAT
        return self._elements.get(name, FLOAT)

    def _element_of(self, node: Node, place: int) -> int:
        if node.kind in _TRUTHS:
            return BOOL
        if node.kind in _POSITIONS or (place == 1 and node.kind in ("MaxPool", "TopK")):
            return INT64
        if node.kind == "Cast":
            return node.integer("to")
        if node.kind == "ConstantOfShape":
            return INT64 if node.tensor("value").dtype.kind in "iu" else FLOAT
        operand = node.input(_TYPED_BY.get(node.kind, 0))
        return FLOAT if operand is None else self.element(operand)
