"""Build an ONNX graph: nodes, constants, inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.installation import install_command
from mpscnn.converters.reading.onnx.schema import PRODUCER
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

#: The version of ONNX' operators: old enough for engines of the last years.
OPSET = 17
IR_VERSION = 8
_MIDDLE_AXIS = 2  # of the three axes of an image, after the batch
_STAY_BEHIND = frozenset({"Conv", "ConvTranspose", "Flatten", "Gemm", "Reshape"})
"""Operators that engines do not exchange with a transposition before them."""


@dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph.

    `shape` is that of mpscnn's tensor for one image: (1, height, width, channels). The ONNX graph holds an image as
    (n, channels, height, width). Tensors of other ranks have the same layout in both.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def is_image(self) -> bool:
        """True for a tensor of four axes, which is NHWC in mpscnn and NCHW in ONNX."""
        return len(self.shape) == 4

    @property
    def same_order(self) -> bool:
        """True if the elements have the same memory order in both layouts."""
        return not self.is_image or self.shape[3] == 1 or self.shape[1] * self.shape[2] == 1


class Builder:
    """Collects the nodes, constants, inputs and outputs of an ONNX graph.

    Args:
        name: the name of the graph.
        dtype: the type of all floats: "float32" or "float16".
    """

    def __init__(self, name: str, dtype: str = "float32") -> None:
        try:
            import onnx
        except ImportError as error:
            raise UnsupportedError(
                f"writing ONNX and Core ML files needs the package onnx: {install_command('convert')} ({error})"
            ) from error
        self._onnx = onnx
        self._name = name
        self._dtype = np.dtype(dtype)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._used: dict[str, int] = {}
        # The outputs of the graph, by the names of the network's.
        self.results: dict[str, Value] = {}
        # Whether local response normalizations over an odd number of channels become LRN.
        self.uses_lrn = False
        # The kinds of layers' activations, by the results of the nodes that compute them.
        self.activations: dict[str, str] = {}

    def add(self, operation: str, inputs: Sequence[str], layer: str, **attributes: Any) -> str:
        """Add a node and return the name of its result.

        A layer may take several nodes. Each has the layer's name in `doc_string`, so that mpscnn's reader can restore
        it.
        """
        result = self._free_name(layer)
        self._node(operation, inputs, result, layer, attributes)
        return result

    @property
    def count(self) -> int:
        """The number of nodes."""
        return len(self._nodes)

    def mark_activation(self, first: int, kind: str) -> None:
        """Record that the nodes from number `first` on compute the activation of a layer, and its kind."""
        self.activations |= {name: kind for node in self._nodes[first:] for name in node.output}

    def add_several(
        self, operation: str, inputs: Sequence[str], layer: str, results: int, **attributes: Any
    ) -> list[str]:
        """Add a node and return the names of its results."""
        names = [self._free_name(layer) for _ in range(results)]
        self._node(operation, inputs, names[0], layer, attributes)
        self._nodes[-1].output.extend(names[1:])
        return names

    def _node(
        self, operation: str, inputs: Sequence[str], result: str, layer: str, attributes: Mapping[str, Any]
    ) -> None:
        self._nodes.append(
            self._onnx.helper.make_node(
                operation, list(inputs), [result], name=result, doc_string=layer, **attributes
            )
        )

    def may_move_apart(self, name: str) -> bool:
        """Return whether the height and width of a value lie apart before the transpositions that it depends on.

        Engines move a transposition behind the operators that follow it, so that these get the axes before it.
        """
        makers = {result: node for node in self._nodes for result in node.output}
        found = {(name, (0, 1, 2, 3))}
        left = list(found)
        while left:
            value, axes = left.pop()
            node = makers.get(value)
            if node is None or node.op_type in _STAY_BEHIND:
                continue
            if node.op_type == "Transpose":
                perm = next(one.ints for one in node.attribute if one.name == "perm")
                if len(perm) != len(axes):
                    continue
                axes = tuple(perm[axis] for axis in axes)
                if (
                    axes[1] == _MIDDLE_AXIS
                ):  # the others, which are height and width, are the first and the last
                    return True
            before = {(operand, axes) for operand in node.input} - found
            found |= before
            left.extend(before)
        return False

    @property
    def number(self) -> int:
        """ONNX' number of the element type of floats in this graph."""
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(self._dtype))

    def constant(self, values: NDArray[Any] | float | Sequence[float], stem: str) -> str:
        """Add a constant, integers as int64 and floats in the graph's type, and return its name.

        Raises WeightsError for a finite number that is beyond the range of the type.
        """
        array = np.asarray(values)
        name = self._free_name(stem)
        array = array.astype(np.int64) if array.dtype.kind in "iu" else self._floats(array, name)
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def stored(self, values: NDArray[Any], stem: str) -> str:
        """Add a constant without changing its type, such as int8, and return its name."""
        name = self._free_name(stem)
        # ascontiguousarray is not used, because it would turn a scalar into an array with one axis.
        self._constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def _floats(self, array: NDArray[Any], name: str) -> NDArray[Any]:
        floats = array.astype(np.float32)
        if self._dtype == np.float32:
            return floats
        limits = np.finfo(np.float32)
        # The largest float32 means "no limit" in activations, so it becomes infinity.
        unlimited = np.where(np.abs(floats) == limits.max, np.copysign(np.float32(np.inf), floats), floats)
        with np.errstate(over="ignore"):
            halves = unlimited.astype(self._dtype)
        if not np.array_equal(np.isinf(halves), np.isinf(unlimited)):
            raise WeightsError(f"{name}: {np.abs(floats).max():g} is beyond float16's range; write float32")
        return halves

    def input(self, name: str, shape: tuple[int, ...], layout: str) -> Value:
        """Add an input. Images are transposed to NCHW, unless `layout` says that they already are."""
        value = Value(self._free_name(name), shape)
        self._inputs.append(self._info(value, layout))
        if not value.is_image or layout == "nchw":
            return value
        return Value(self.add("Transpose", [value.name], name, perm=TO_NCHW), shape)

    def output(self, value: Value, name: str, layout: str) -> Value:
        """Add an output whose name is derived from the layer's name, and return it."""
        result = self._free_name(f"{name}.output")
        if value.is_image and layout == "nhwc":
            self._node("Transpose", [value.name], result, name, {"perm": TO_NHWC})
        else:
            self._node("Identity", [value.name], result, name, {})
        self._outputs.append(self._info(Value(result, value.shape), layout))
        return Value(result, value.shape)

    def replace_outputs(self, outputs: Mapping[str, tuple[str, int, Sequence[int | str]]]) -> None:
        """Make other values the outputs of a graph, which then takes one image.

        Args:
            outputs: for each output's name the value, ONNX' number of its element type, and its shape.
        """
        self._outputs = []
        for wanted, (value, number, shape) in outputs.items():
            name = self.add("Identity", [value], wanted)
            self._outputs.append(self._onnx.helper.make_tensor_value_info(name, number, shape))
        for taken in self._inputs:
            taken.type.tensor_type.shape.dim[0].dim_value = 1

    def model(self, producer_version: str) -> onnx.ModelProto:
        """Return the checked model."""
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._constants)
        model: onnx.ModelProto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name=PRODUCER,
            producer_version=producer_version,
        )
        model.ir_version = IR_VERSION
        self._onnx.checker.check_model(model)
        return model

    def _info(self, value: Value, layout: str) -> onnx.ValueInfoProto:
        shape = value.shape
        if value.is_image and layout == "nchw":
            shape = tuple(shape[axis] for axis in TO_NCHW)
        return self._onnx.helper.make_tensor_value_info(value.name, self.number, ["n", *shape[1:]])

    def _free_name(self, stem: str) -> str:
        count = self._used.get(stem, 0)
        self._used[stem] = count + 1
        return stem if count == 0 else self._free_name(f"{stem}.{count}")
