"""Keep the constants of an ONNX file by name: those that it has, and those that nodes compute from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import is_filled, stored
from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.converters.reading.onnx.tensors import plain_integers
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.layout import Atom
from mpscnn.converters.values.stored_integers import StoredIntegers
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]

# Constants of at least this many bytes that only one node reads are not kept in memory.
_LARGE = 1 << 12
# The bytes that the weights of a network may take even if its file is small. They are allowed because the converter
# itself generates some weights: permutation matrices that move elements.
_WEIGHTS_FREE = 1 << 27
# Operators that move the elements of a constant.
_ARRANGING = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


class Constants:
    """The constants of one file by name: those in the file, and those computed from them.

    Args:
        file: the file.
        parameters: the trainable parameters among the constants.
        size: a function that returns the bytes that limit the memory and work for constants; None: those of the file.
    """

    def __init__(self, file: OnnxFile, parameters: Parameters, size: Callable[[], int] | None = None) -> None:
        self._file = file
        self.parameters = parameters
        self._known: dict[str, Constant] = {}
        self._dequantized: dict[str, Node | StoredIntegers | None] = {}
        self.budget = Budget(size or (lambda: file.bytes_with_external), copies_free=_WEIGHTS_FREE)

    def holds(self, name: str) -> bool:
        """Return True if there is a constant of this name. The file is not read for that."""
        return name in self._known or name in self._file.tensors

    def size_of(self, name: str) -> int:
        """Return a constant's number of elements. A rearranged parameter has the parameter's number."""
        found = self.find(self.parameters.tensor_of(name))
        return 0 if found is None else int(found.low.size)

    def find(self, name: str) -> Constant | None:
        """Return the constant of this name; None for tensors that the network computes."""
        if name not in self._known and name in self._file.tensors:
            found = Constant.of(self._file.array(self._file.tensors[name]), self.budget)
            if len(self._file.users.get(name, [])) < 2 and found.low.nbytes >= _LARGE:
                self.budget.look(found.low)  # each call reads the weight again
                return found  # only one layer reads this weight, so it need not stay in memory
            self._known[name] = found
        return self._known.get(name)

    def holds_computed(self, names: Iterable[str]) -> bool:
        """Return True if all these tensors are constants that were computed, not initializers of the file."""
        return all(name in self._known for name in names)

    @property
    def opset(self) -> int:
        """The version of ONNX' operators that the file uses."""
        return self._file.opset

    def decode(self, tensor: Any) -> Constant:
        """Return an attribute that is a tensor."""
        return Constant.of(self._file.array(tensor), self.budget)

    def note_dequantized(self, name: str, node: Node) -> None:
        """Record that a constant was computed by a DequantizeLinear node."""
        self._dequantized[name] = node

    def put(self, name: str, constant: Constant | Array) -> None:
        """Add a constant that was computed elsewhere, such as a shape."""
        self._known[name] = constant if isinstance(constant, Constant) else Constant.of(constant, self.budget)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give constants other names."""
        self._known = {names.get(name, name): constant for name, constant in self._known.items()}

    # ---- Operands --------------------------------------------------------------------------------------------------

    def operand(self, name: str | None, what: str) -> Constant:
        """Return an operand that must be constant.

        Raises UnsupportedError if the network computes it; `what` begins the message.
        """
        if name is None:
            raise WeightsError(f"damaged: {what} is missing")
        constant = self.find(name)
        if constant is None:
            raise UnsupportedError(
                f"{what} ({quote_name(name)}) is computed by the network; only constants are supported"
            )
        return constant

    def fixed(self, name: str | None, what: str) -> Array:
        """Return the array of an operand; see `Constant.fixed`."""
        return self.operand(name, what).fixed(what)

    def view(self, name: str | None, what: str) -> Array:
        """Return the array of an operand, possibly as a broadcast view of any size; see `Constant.view`."""
        return self.operand(name, what).view(what)

    def real(self, name: str | None, what: str) -> NDArray[np.float32]:
        """Return an operand as float32; see `Constant.real`."""
        return self.operand(name, what).real(what)

    def real_view(self, name: str | None, what: str) -> NDArray[np.float32]:
        """Return an operand as float32, possibly as a broadcast view; see `Constant.view`."""
        return self.operand(name, what).real_view(what)

    def of_one_image(
        self,
        name: str,
        rank: int | None,
        batch: Atom | None,
        what: str,
        place: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Return a constant without the batch; see `Constant.of_one_image`."""
        return self.operand(name, what).of_one_image(rank, batch, what, place)

    def integers(self, name: str | None, what: str) -> list[int]:
        """Return an operand that must be constant integers, as a list; see `Constant.integers`."""
        return self.operand(name, what).integers(what)

    def number(self, name: str | None, what: str) -> float:
        """Return an operand that must be one constant number; see `Constant.number`."""
        return self.operand(name, what).number(what)

    def shapes(self, name: str | None, what: str) -> tuple[list[int], list[int]]:
        """Return integers that may depend on free extents; see `Constant.shapes`."""
        return self.operand(name, what).shapes(what)

    def integers_of(self, name: str) -> StoredIntegers | None:
        """Return the integers from which a constant of floats was dequantized; None if there are none.

        Nodes that only rearrange elements may be between DequantizeLinear and the constant.
        """
        node = self._dequantized_before(name)
        if not isinstance(node, Node):
            return node
        kept, scales = (self.fixed(node.input(place), "its integers") for place in (0, 1))
        zeros = np.zeros(scales.size, kept.dtype)
        if node.input(2) is not None:
            zeros = self.fixed(node.input(2), "its zero points")
        values, zero_points = plain_integers(kept), plain_integers(zeros)
        if values is None or zero_points is None:
            return None
        return StoredIntegers(values, scales.astype(np.float32).reshape(-1), zero_points.reshape(-1))

    def _dequantized_before(self, name: str) -> Node | StoredIntegers | None:
        """Return the DequantizeLinear node or the integers that made a constant; None if there are none.

        Nodes that only rearrange elements may be between the two.

        The result is cached for all constants on the way.
        """
        way = []
        while name not in self._dequantized:
            maker = self._file.makers.get(name)
            way.append(name)
            if maker is None or maker.kind not in _ARRANGING:
                self._dequantized[name] = self._file.integers.get(name)
            else:
                name = maker.inputs[0]
        self._dequantized |= dict.fromkeys(way, self._dequantized[name])
        return self._dequantized[name]

    def count_weight(self, size: int, *, is_filled: bool = False) -> None:
        """Count the bytes of a layer's weight.

        Raises WeightsError if all weights take far more than the file's size.
        """
        self.budget.copy(size, is_filled=is_filled)

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
