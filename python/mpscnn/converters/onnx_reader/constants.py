"""Fold constants: compute the tensors of an ONNX graph that do not depend on its inputs.

Tensors that depend on shapes are computed twice, because each free extent is represented by two numbers
(`layout.Atom`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.broadcast_views import is_filled, stored, stored_operands
from mpscnn.converters.budget import Budget, Cost
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.layout import Atom
from mpscnn.converters.onnx_reader.constant_folding import FOLDED, FOLDED_BEFORE_13
from mpscnn.converters.onnx_reader.file import OnnxFile
from mpscnn.converters.onnx_reader.foldable import ELEMENTWISE, FOLDABLE, fold_cost
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.parameters import Parameters
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]

# Constants of at least this many bytes that only one node reads are not kept in memory.
_LARGE = 1 << 12
# The bytes that the weights of a network may take even if its file is small. They are allowed because the converter
# itself generates some weights: permutation matrices that move elements.
_WEIGHTS_FREE = 1 << 27
# The maximum length of a list of integers. Lists have an element for each axis, or for each result of an operator.
_MAX_LIST_LENGTH = 1 << 14
# The maximum number of ReferenceEvaluators of the package onnx that are cached for equal nodes.
_MAX_EVALUATORS = 256
# The maximum number of axes of a constant. Several functions of NumPy support no more.
_MAX_AXES = 32
# The values of numpy.dtype.kind for text and objects.
_TEXT = "OSU"
# Operators that move the elements of a constant.
_ARRANGING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


@dataclass(frozen=True)
class Constant:
    """A folded constant, computed with the first and with the second number of each free extent.

    If it does not depend on free extents, both are the same object. Raises UnsupportedError for too many axes.
    """

    low: Array
    high: Array

    def __post_init__(self) -> None:
        axes = max(self.low.ndim, self.high.ndim)
        if axes > _MAX_AXES:
            raise UnsupportedError(f"computes with a constant of {axes} axes; supported are {_MAX_AXES}")

    @cached_property
    def is_fixed(self) -> bool:
        """True if the constant does not depend on free extents."""
        if self.low is self.high:
            return True
        return self.low.shape == self.high.shape and np.array_equal(stored(self.low), stored(self.high))


@dataclass(frozen=True)
class StoredIntegers:
    """The integers of a quantized constant, which DequantizeLinear reads.

    The constant is (values - zero point) * scale, with one scale for all elements or one for each index of an axis.
    """

    values: Array
    scales: NDArray[np.float32]
    zero_points: Array


class Constants:
    """The constants of one file by name: those in the file, and those computed from them.

    Nodes that would turn a trainable parameter into other numbers are not computed.
    """

    def __init__(self, file: OnnxFile, parameters: Parameters) -> None:
        self._file = file
        self._parameters = parameters
        self._known: dict[str, Constant] = {}
        self._dequantized: dict[str, Node | None] = {}
        self._evaluators: dict[bytes, Any] = {}
        self.budget = Budget(lambda: file.bytes_with_external, copies_free=_WEIGHTS_FREE)

    def holds(self, name: str) -> bool:
        """Return True if there is a constant of this name. The file is not read for that."""
        return name in self._known or name in self._file.tensors

    def size_of(self, name: str) -> int:
        """Return a constant's number of elements. A rearranged parameter has the parameter's number."""
        found = self.find(self._parameters.tensor_of(name))
        return 0 if found is None else int(found.low.size)

    def find(self, name: str) -> Constant | None:
        """Return the constant of this name; None for tensors that the network computes."""
        if name not in self._known and name in self._file.tensors:
            array = self._file.array(self._file.tensors[name])
            found = Constant(array, array)
            if len(self._file.users.get(name, [])) < 2 and array.nbytes >= _LARGE:
                self.budget.look(array)  # each call reads the weight again
                return found  # only one layer reads this weight, so it need not stay in memory
            self._known[name] = found
        return self._known.get(name)

    def put(self, name: str, low: Array, high: Array | None = None) -> None:
        """Add a constant that was computed elsewhere, such as a shape."""
        self._known[name] = Constant(low, low if high is None else high)

    def fixed(self, name: str | None, what: str) -> Array:
        """Return an operand that must be constant.

        Raises UnsupportedError if the network computes it, and for a broadcast view of too many places.
        """
        array = self.view(name, what)
        self.budget.look(array)
        return array

    def view(self, name: str | None, what: str) -> Array:
        """Return an operand that must be constant, possibly as a broadcast view of any size.

        The caller may only compute with the elements that are stored (`broadcast_views`). Raises UnsupportedError if
        the network computes the operand.
        """
        constant = self.find(name) if name else None
        if name is None:
            raise WeightsError(f"damaged: {what} is missing")
        if constant is None:
            raise UnsupportedError(
                f"{what} ({quote_name(name)}) is computed by the network; only constants are supported"
            )
        if not constant.is_fixed:
            raise UnsupportedError(f"{what} depends on an extent that is free: {CHOOSE_SIZE}")
        self.budget.look(stored(constant.low))
        return constant.low

    def real(self, name: str | None, what: str) -> NDArray[np.float32]:
        """Return an operand that must be constant, as float32. Raises the errors of `fixed`."""
        array = self.real_view(name, what)
        self.budget.look(array)
        return array

    def real_view(self, name: str | None, what: str) -> NDArray[np.float32]:
        """Return an operand that must be constant, as float32, possibly as a broadcast view; see `view`."""
        array = self.view(name, what)
        if array.dtype.kind not in "fiubV":
            raise UnsupportedError(f"{what} has the element type {array.dtype}, which is not a number")
        return self._float32(array)

    def of_one_image(
        self,
        name: str,
        rank: int | None,
        batch: Atom | None,
        what: str,
        place: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Return a constant without the batch. All images must have the same numbers.

        For a network without a batch the whole constant is returned.

        Args:
            name: the name of the constant in the file.
            rank: the number of axes to which it is extended by axes of extent 1 in front; None: no extension.
            batch: the atom of the network's batch; None: the network has no batch.
            what: the name of the operand in messages.
            place: the number of the axis with the batch, and the product of the factors before the batch in this axis.
                The result has two axes in its place: the factors before the batch and those after it. None: the batch
                is the first axis.
        """
        constant = self.find(name)
        if constant is None:
            raise AssertionError("not a constant")
        low, high = constant.low, constant.high
        if low.dtype.kind not in "fiubV":
            raise UnsupportedError(f"{what} has the element type {low.dtype}, which is not a number")
        if rank is not None and low.ndim < rank:
            low, high = (one.reshape((1,) * (rank - one.ndim) + one.shape) for one in (low, high))
        shape = low.shape
        self.budget.look(stored(low))
        if batch is None:
            if not constant.is_fixed or low.size == 0:
                raise UnsupportedError(f"{what} is a constant of shape {shape}, which is not supported here")
            return self._finite(low, what)
        if place is not None and low.size and high.size:
            extents = batch.low, batch.high
            low, high = (
                _batch_first(one, place, extent) for one, extent in zip((low, high), extents, strict=True)
            )
        if low.ndim < 2 or low.size == 0 or low.shape[1:] != high.shape[1:]:
            raise UnsupportedError(f"{what} is a constant of shape {shape}, which is not supported here")
        one = low[:1]
        fits = constant.is_fixed and len(low) == 1
        if not fits and (len(low), len(high)) == (batch.low, batch.high):
            fits = bool((stored(low) == stored(one)).all() and (stored(high) == stored(one)).all())
        if not fits:
            raise UnsupportedError(
                f"{what} is a constant of shape {shape}, other numbers for each image of the batch"
            )
        return self._finite(one[0], what)

    def _finite(self, array: Array, what: str) -> NDArray[np.float32]:
        """Return the array as float32. Raises UnsupportedError if an element is not finite."""
        result = self._float32(array)
        if not np.isfinite(stored(result)).all():
            raise UnsupportedError(f"{what} is a constant that is not finite")
        return result

    def integers(self, name: str | None, what: str) -> list[int]:
        """Return an operand that must be constant integers, as a list. Raises the errors of `fixed`."""
        array = self.view(name, what)
        if array.dtype.kind not in "iu":
            raise WeightsError(f"damaged: {what} is of {array.dtype}, expected whole numbers")
        return self._listed(array, what)

    def number(self, name: str | None, what: str) -> float:
        """Return an operand that must be one constant number. Raises the errors of `fixed`."""
        array = self.real_view(name, what)
        if array.size != 1:
            raise WeightsError(f"damaged: {what} has the shape {array.shape}, expected one number")
        return float(array.reshape(-1)[0])

    def shapes(self, name: str | None, what: str) -> tuple[list[int], list[int]]:
        """Return integers that may depend on free extents, computed with the first and the second number of each."""
        constant = self.find(name) if name else None
        if constant is None:
            raise UnsupportedError(f"{what} is computed by the network; only constants are supported")
        if constant.low.dtype.kind not in "iu":
            raise WeightsError(f"damaged: {what} is of {constant.low.dtype}, expected whole numbers")
        return self._listed(constant.low, what), self._listed(constant.high, what)

    def integers_of(self, name: str) -> StoredIntegers | None:
        """Return the integers from which a constant of floats was dequantized; None if there are none.

        Nodes that only rearrange elements may be between DequantizeLinear and the constant.
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
        """Return the DequantizeLinear node that made a constant; None if there is none.

        Nodes that only rearrange elements may be between the two.

        The result is cached for all constants on the way.
        """
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
        """Count the bytes of a layer's weight.

        Raises WeightsError if all weights take far more than the file's size.
        """
        self.budget.copy(size, is_filled=is_filled)

    def _float32(self, array: Array) -> NDArray[np.float32]:
        """Return the array as float32. A broadcast view stays a view."""
        if array.dtype == np.float32:
            return array
        own = stored(array)
        made = self.budget.run(Cost(own.size, own.size), lambda: own.astype(np.float32))
        return np.broadcast_to(made, array.shape) if own.size < array.size else made

    def reshape(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Reshape a constant. A broadcast view whose elements must be copied for that counts as computed."""
        if is_filled(array):
            return np.broadcast_to(array[(slice(0, 1),) * array.ndim].reshape((1,) * len(shape)), shape)
        if stored(array).size < array.size:
            return self.budget.run(Cost(array.size, array.size), lambda: array.reshape(shape))
        return array.reshape(shape)

    def tile(self, array: Array, times: int) -> Array:
        """Repeat a constant along its first axis. The copies count as a weight."""
        shape = (len(array) * times, *array.shape[1:])
        if is_filled(array) or array.size == 1:
            return np.broadcast_to(array[(slice(0, 1),) * array.ndim], shape)
        self.count_weight(4 * array.size * times)
        return np.tile(array, (times, *[1] * (array.ndim - 1)))

    def repeat(self, array: Array, times: int) -> Array:
        """Repeat each element of a vector. The copies count as a weight."""
        if is_filled(array) or array.size == 1:
            return np.broadcast_to(array[:1], (array.size * times,))
        self.count_weight(4 * array.size * times)
        return np.repeat(array, times)

    def _listed(self, array: Array, what: str) -> list[int]:
        if array.size > _MAX_LIST_LENGTH:
            raise WeightsError(f"damaged: there are {array.size} numbers in {what}")
        return self.budget.run(Cost.of_list(array.size), array.reshape(-1).tolist)

    def is_made_of_stated(self, node: Node) -> bool:
        """Return True if a node is a Constant, or reads only constants that were computed before.

        Nodes that read initializers of the file do not count.
        """
        return node.kind in FOLDABLE and all(name in self._known for name in node.inputs if name)

    def compute(self, node: Node) -> bool:
        """Compute a node whose operands are all constant, and keep its results. Return False for other nodes."""
        if node.kind not in FOLDABLE or not all(map(self.holds, filter(None, node.inputs))):
            return False
        if not self._parameters.follow(node):
            return False
        given = [self.find(name) if name else None for name in node.inputs]
        fixed = all(constant is None or constant.low is constant.high for constant in given)
        with np.errstate(all="ignore"):  # infinities and NaN are results like others
            low = self._run(node, [None if one is None else one.low for one in given])
            high = low if fixed else self._run(node, [None if one is None else one.high for one in given])
        if node.kind == "DequantizeLinear" and fixed:
            self._dequantized[node.outputs[0]] = node
        for name, first, second in zip(node.outputs, low, high, strict=False):
            if name:
                self.put(name, first, second)
        return True

    def _run(self, node: Node, operands: list[Array | None]) -> list[Array]:
        """Compute a node and return its results. The cost is counted before."""
        if node.kind == "Constant" and node.has("value"):
            return [self._file.array(node.tensor("value"))]
        for array in operands:
            if array is not None and array.dtype.kind in _TEXT:
                raise UnsupportedError("computes with text")
        if node.kind in ELEMENTWISE:
            return self._elementwise(node, operands)
        compute = (FOLDED if self._file.opset >= 13 else FOLDED_BEFORE_13).get(node.kind)
        if compute is not None:
            return [self.budget.run(fold_cost(node, operands), lambda: compute(node, operands))]
        return self.budget.run(fold_cost(node, operands), lambda: self._evaluated(node, operands))

    def _elementwise(self, node: Node, operands: list[Array | None]) -> list[Array]:
        """Compute an elementwise node. Elements that are equal by broadcasting are computed once."""
        given = [array for array in operands if array is not None]
        own, shape = stored_operands(given)
        arrays = iter(own)
        reduced = [None if array is None else next(arrays) for array in operands]
        results = self.budget.run(fold_cost(node, reduced), lambda: self._evaluated(node, reduced))
        return [np.broadcast_to(one, shape) if one.shape != shape else one for one in results]

    def _evaluated(self, node: Node, operands: list[Array | None]) -> list[Array]:
        """Compute a node by the ReferenceEvaluator of the package onnx. Equal nodes share one evaluator."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        given = {f"x{place}": array for place, array in enumerate(operands) if array is not None}
        alike = onnx.NodeProto(op_type=node.proto.op_type, attribute=node.proto.attribute)
        alike.input.extend(f"x{place}" if name else "" for place, name in enumerate(node.inputs))
        alike.output.extend(f"y{place}" if name else "" for place, name in enumerate(node.outputs))
        key = alike.SerializeToString()
        try:
            if key not in self._evaluators:
                if len(self._evaluators) == _MAX_EVALUATORS:
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
            # These errors mean that the package lacks a form of an operator, not that the file is damaged.
            raise UnsupportedError(f"cannot be computed of constants: {error}") from error
        arrays = iter(results)
        return [np.asarray(next(arrays)) if name else np.zeros(0, np.float32) for name in node.outputs]


def _batch_first(array: Array, place: tuple[int, int], extent: int) -> Array:
    """Move the batch out of an axis to the front; the factors before and after it become two axes."""
    axis, before = place
    if array.ndim <= axis or array.shape[axis] % (before * extent):
        return array[:0]
    shape = array.shape
    apart = array.reshape(*shape[:axis], before, extent, -1, *shape[axis + 1 :])
    return np.moveaxis(apart, axis + 1, 0)
