"""Values of an ONNX graph that do not depend on its inputs, computed while converting.

Values that depend on shapes are computed twice, with both numbers that stand for each free extent (`layout.Atom`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.budget import Budget, Cost
from mpscnn.converters.layer_names import shown
from mpscnn.converters.layout import Atom
from mpscnn.converters.onnx_reader.file import OnnxFile
from mpscnn.converters.onnx_reader.foldable import FOLDABLE, cost_of
from mpscnn.converters.onnx_reader.folded import FOLDED, is_filled
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.parameters import Parameters
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]

# Constants of this many bytes that one layer reads are not kept next to the file.
_LARGE = 1 << 12
# Matrices that move elements are in no file.
_WEIGHTS_FREE = 1 << 28
# A number of a list takes as much memory as this many elements, and as much time as this many operations.
_OF_LIST = 8, 64
# Lists have a number for each axis, or for each result of an operator.
_LONGEST_LIST = 1 << 14
# Evaluators of the package onnx that are kept, to be used again for nodes that do the same.
_MOST_EVALUATORS = 256
# The kinds of NumPy's types for text.
_TEXT = "OSU"
# Operators that move the elements of a constant.
_ARRANGING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


@dataclass(frozen=True)
class Constant:
    """An array, by both numbers for free extents; the same object twice where nothing is free."""

    low: Array
    high: Array

    @property
    def is_fixed(self) -> bool:
        """True if it is the same whatever the free extents are."""
        return self.low is self.high or np.array_equal(self.low, self.high)


@dataclass(frozen=True)
class StoredIntegers:
    """The integers that DequantizeLinear reads.

    The floats are (values - zero point) * scale, with one scale for all or one for each index of an axis.
    """

    values: Array
    scales: NDArray[np.float32]
    zero_points: Array


class Constants:
    """The constants of one file by name: its own, and those computed of them, but of parameters that learn."""

    def __init__(self, file: OnnxFile, parameters: Parameters) -> None:
        self._file = file
        self._parameters = parameters
        self._known: dict[str, Constant] = {}
        self._dequantized: dict[str, Node | None] = {}
        self._evaluators: dict[bytes, Any] = {}
        self.budget = Budget(lambda: file.bytes_with_external, copies_free=_WEIGHTS_FREE)

    def holds(self, name: str) -> bool:
        """Return True if there is a constant of this name; its numbers are not read."""
        return name in self._known or name in self._file.tensors

    def size_of(self, name: str) -> int:
        """Return how many elements a parameter has, of which this constant is made."""
        found = self.find(self._parameters.made_of(name) or name)
        return 0 if found is None else int(found.low.size)

    def find(self, name: str) -> Constant | None:
        """Return the constant of this name; None for what the network computes."""
        if name not in self._known and name in self._file.tensors:
            array = self._file.array(self._file.tensors[name])
            found = Constant(array, array)
            if len(self._file.users.get(name, [])) < 2 and array.nbytes >= _LARGE:
                return found  # weights of one layer: once they are in it, nothing else needs them
            self._known[name] = found
        return self._known.get(name)

    def put(self, name: str, low: Array, high: Array | None = None) -> None:
        """A constant that was made elsewhere, such as a shape."""
        self._known[name] = Constant(low, low if high is None else high)

    def fixed(self, name: str | None, what: str) -> Array:
        """An operand that must be constant. Raises UnsupportedError where the network computes it."""
        constant = self.find(name) if name else None
        if name is None:
            raise WeightsError(f"damaged: {what} is missing")
        if constant is None:
            raise UnsupportedError(
                f"{what} ({shown(name)}) is computed by the network; only constants are supported"
            )
        if not constant.is_fixed:
            raise UnsupportedError(f"{what} depends on an extent that is free: {CHOOSE_SIZE}")
        self.budget.spend(Cost.look(constant.low.size))
        return constant.low

    def real(self, name: str | None, what: str) -> NDArray[np.float32]:
        """Like `fixed`, in float32."""
        array = self.fixed(name, what)
        if array.dtype.kind not in "fiubV":
            raise UnsupportedError(f"{what} has the element type {array.dtype}, which is not a number")
        return self._float32(array)

    def of_one_image(self, name: str, rank: int | None, batch: Atom | None, what: str) -> NDArray[np.float32]:
        """Return a constant without its first axis, along which it must be the same or repeated as often as the batch.

        All of it for a network without a batch.

        Args:
            name: in the file.
            rank: how many axes it has with further ones of extent 1 in front; None: its own.
            batch: of the network; None: it has none.
            what: what messages call it.
        """
        constant = self.find(name)
        if constant is None:
            raise AssertionError("not a constant")
        low, high = constant.low, constant.high
        if low.dtype.kind not in "fiubV":
            raise UnsupportedError(f"{what} has the element type {low.dtype}, which is not a number")
        if rank is not None and low.ndim < rank:
            low, high = (one.reshape((1,) * (rank - one.ndim) + one.shape) for one in (low, high))
        self.budget.spend(Cost.look(low.size + high.size))
        if batch is None:
            if not constant.is_fixed or low.size == 0:
                raise UnsupportedError(
                    f"{what} is a constant of shape {low.shape}, which is not supported here"
                )
            return self._finite(low, what)
        if low.ndim < 2 or low.size == 0 or low.shape[1:] != high.shape[1:]:
            raise UnsupportedError(f"{what} is a constant of shape {low.shape}, which is not supported here")
        one = low[:1]
        fits = constant.is_fixed and len(low) == 1
        if not fits and (len(low), len(high)) == (batch.low, batch.high):
            fits = bool((low == one).all() and (high == one).all())
        if not fits:
            raise UnsupportedError(
                f"{what} is a constant of shape {low.shape}, other numbers for each image of the batch"
            )
        return self._finite(one[0], what)

    def _finite(self, array: Array, what: str) -> NDArray[np.float32]:
        """Return the numbers in float32. Raises UnsupportedError where one of them is not finite."""
        result = self._float32(array)
        if not np.isfinite(result).all():
            raise UnsupportedError(f"{what} is a constant that is not finite")
        return result

    def integers(self, name: str | None, what: str) -> list[int]:
        """Like `fixed`: whole numbers as a list."""
        array = self.fixed(name, what)
        if array.dtype.kind not in "iu":
            raise WeightsError(f"damaged: {what} is of {array.dtype}, expected whole numbers")
        return self._listed(array, what)

    def number(self, name: str | None, what: str) -> float:
        """Like `fixed`: one number."""
        array = self.real(name, what)
        if array.size != 1:
            raise WeightsError(f"damaged: {what} has the shape {array.shape}, expected one number")
        return float(array.reshape(-1)[0])

    def shapes(self, name: str | None, what: str) -> tuple[list[int], list[int]]:
        """Whole numbers that may depend on free extents, by both numbers for them."""
        constant = self.find(name) if name else None
        if constant is None:
            raise UnsupportedError(f"{what} is computed by the network; only constants are supported")
        if constant.low.dtype.kind not in "iu":
            raise WeightsError(f"damaged: {what} is of {constant.low.dtype}, expected whole numbers")
        return self._listed(constant.low, what), self._listed(constant.high, what)

    def integers_of(self, name: str) -> StoredIntegers | None:
        """Return the integers that a constant of floats is computed from, rearranged or not.

        None if it is not made of integers.
        """
        node = self._dequantized_before(name)
        if node is None:
            return None
        values, scales = (self.fixed(node.input(place), "its integers") for place in (0, 1))
        zero_points = np.zeros(scales.size, values.dtype)
        if node.input(2) is not None:
            zero_points = self.fixed(node.input(2), "its zero points").reshape(-1)
        return StoredIntegers(values, scales.astype(np.float32).reshape(-1), zero_points)

    def _dequantized_before(self, name: str) -> Node | None:
        """Return the node that made floats of the integers of a constant; those on the way to it are remembered."""
        way = []
        while name not in self._dequantized:
            maker = self._file.makers.get(name)
            way.append(name)
            if maker is None or maker.kind not in _ARRANGING:
                self._dequantized[name] = None
            else:
                name = maker.inputs[0]
        self._dequantized |= dict.fromkeys(way, self._dequantized[name])
        return self._dequantized[name]

    def count_weight(self, size: int, *, is_filled: bool = False) -> None:
        """Add the bytes of a layer's weight. Raises WeightsError where all take far more than the file's size."""
        self.budget.copy(size, is_filled=is_filled)

    def _float32(self, array: Array) -> NDArray[np.float32]:
        """Return the numbers in float32. A constant of one number stays one."""
        if array.dtype == np.float32:
            return array
        if is_filled(array):
            return np.broadcast_to(array.reshape(-1)[0].astype(np.float32), array.shape)
        return self.budget.run(Cost(array.size, array.size), lambda: array.astype(np.float32))

    def _listed(self, array: Array, what: str) -> list[int]:
        if array.size > _LONGEST_LIST:
            raise WeightsError(f"damaged: there are {array.size} numbers in {what}")
        elements, operations = (factor * array.size for factor in _OF_LIST)
        return self.budget.run(Cost(elements, operations), lambda: [int(one) for one in array.reshape(-1)])

    def is_made_of_stated(self, node: Node) -> bool:
        """True if a node states a constant, or computes one of those that were computed before, not of the file's."""
        return node.kind in FOLDABLE and all(name in self._known for name in node.inputs if name)

    def compute(self, node: Node) -> bool:
        """Compute a node whose operands are all constant; False for another."""
        if node.kind not in FOLDABLE or not all(map(self.holds, filter(None, node.inputs))):
            return False
        if not self._parameters.follow(node):
            return False
        given = [self.find(name) if name else None for name in node.inputs]
        fixed = all(constant is None or constant.low is constant.high for constant in given)
        low = self._run(node, [None if one is None else one.low for one in given])
        high = low if fixed else self._run(node, [None if one is None else one.high for one in given])
        if node.kind == "DequantizeLinear" and fixed:
            self._dequantized[node.outputs[0]] = node
        for name, first, second in zip(node.outputs, low, high, strict=False):
            if name:
                self.put(name, first, second)
        return True

    def _run(self, node: Node, operands: list[Array | None]) -> list[Array]:
        """Return the results. Their cost is counted before they are computed."""
        if node.kind == "Constant" and node.has("value"):
            return [self._file.array(node.attributes["value"])]
        for array in operands:
            if array is not None and array.dtype.kind in _TEXT:
                raise UnsupportedError("computes with text")
        compute = FOLDED.get(node.kind)
        if compute is not None:
            return [self.budget.run(cost_of(node, operands), lambda: compute(node, operands))]
        return self.budget.run(cost_of(node, operands), lambda: self._evaluated(node, operands))

    def _evaluated(self, node: Node, operands: list[Array | None]) -> list[Array]:
        """Compute a node with the package onnx. All nodes that do the same share one evaluator."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        given = {f"x{place}": array for place, array in enumerate(operands) if array is not None}
        alike = onnx.NodeProto(op_type=node.proto.op_type, attribute=node.proto.attribute)
        alike.input.extend(f"x{place}" if name else "" for place, name in enumerate(node.inputs))
        alike.output.extend(f"y{place}" if name else "" for place, name in enumerate(node.outputs))
        key = alike.SerializeToString()
        try:
            if key not in self._evaluators:
                if len(self._evaluators) == _MOST_EVALUATORS:
                    self._evaluators.clear()
                graph = onnx.helper.make_graph(
                    [alike],
                    "constants",
                    [onnx.ValueInfoProto(name=name) for name in given],
                    [onnx.ValueInfoProto(name=name) for name in alike.output if name],
                )
                self._evaluators[key] = ReferenceEvaluator(graph, opsets={"": self._file.opset})
            results = self._evaluators[key].run(None, given)
        except NotImplementedError as error:
            raise UnsupportedError(f"cannot be computed of constants: {error}") from error
        except (RuntimeError, AttributeError, AssertionError) as error:
            # The package's errors say nothing of the file: it lacks some forms of operators.
            raise UnsupportedError(f"cannot be computed of constants: {error}") from error
        arrays = iter(results)
        return [np.asarray(next(arrays)) if name else np.zeros(0, np.float32) for name in node.outputs]
