"""Limit the work and memory that reading one file may take, as a defence against malicious files.

A few bytes in a file can cause much work: constants that are repeated, products of large constants, weights that many
layers share. All readers count such work here before they do it. Each limit is a fixed amount for every file plus an
amount in proportion to the file's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import stored
from mpscnn.errors import UnsupportedError, WeightsError

Result = TypeVar("Result")

# The allowed elements of computed constants. With four bytes each, they take 64 MiB plus 16 bytes for each byte of the
# file.
ELEMENTS_FREE = 1 << 24
_ELEMENTS_PER_BYTE = 4
# The allowed arithmetic operations for computing constants. One takes about a nanosecond.
OPERATIONS_FREE = 1 << 30
_OPERATIONS_PER_BYTE = 64
# The allowed bytes of weights. Layers of a file may share weights, as the heads of detectors do, but in mpscnn's
# network each layer has a copy.
_COPIES_PER_BYTE = 16
COPIES_FREE = 65_536
# The allowed bytes of weights whose elements are all one number. Published test networks have such weights: up to
# 548 MiB in a file of 9 kB. The file stores the number only once, but the engines store it for each element.
FILLED_FREE, _FILLED_PER_BYTE, _FILLED_MOST = 64 << 20, 1 << 16, 640 << 20
# This many elements of such a constant count as one element, because it takes no memory until a layer uses it.
_FILLED_PER_ELEMENT = 16
# The allowed places of a constant that is stored as a broadcast view, if an operator computes with each place. Several
# temporary arrays of this size are made, but not at the same time for several constants.
PLACES_FREE, _PLACES_PER_BYTE = 1 << 22, 4
# The cost of an element of a Python list, or of a layer's list of positions: the memory of 8 elements of an array, and
# the time of 64 operations.
_OF_LIST = 8, 64
# The cost of a layer: the memory of 1000 elements, and the time of 300,000 operations.
_OF_LAYER = 1_000, 300_000
# The allowed nodes to which the functions of an ONNX file expand, those that its composed operators stand for, and the
# allowed objects that a pickle creates.
_NODES_FREE, _BYTES_PER_NODE = 4_096, 16
# The allowed calls of layers in a Keras file. A layer of a compressed file takes some three bytes, and a model in a
# model may be called many times.
_CALLS_FREE, _BYTES_PER_CALL = 4_096, 32
_OBJECTS_FREE, _BYTES_PER_OBJECT = 1 << 18, 8


@dataclass(frozen=True)
class Cost:
    """The cost of computing a constant.

    Attributes:
        elements: the number of elements of the results and of temporary arrays.
        operations: the number of operations, each of about a nanosecond.
    """

    elements: int
    operations: int

    @classmethod
    def filled(cls, elements: int) -> Cost:
        """Return the cost of a constant whose elements are all one number, which is stored only once."""
        return cls(1 + elements // _FILLED_PER_ELEMENT, 1)

    @classmethod
    def look(cls, elements: int) -> Cost:
        """Return the cost of comparing all elements of a constant with a number a few times."""
        return cls(0, 2 * elements)

    @classmethod
    def of_list(cls, elements: int) -> Cost:
        """Return the cost of a list of numbers, such as the positions of a gather."""
        return cls(*(factor * elements for factor in _OF_LIST))

    @classmethod
    def of_layers(cls, count: int) -> Cost:
        """Return the cost of layers of which a single operator becomes many."""
        return cls(_OF_LAYER[0] * count, _OF_LAYER[1] * count)


class Budget:
    """Counts the work and memory of reading one file, and raises an error beyond its limits.

    Args:
        size: a function that returns the file's size in bytes. It is called once, and only if the fixed amount does not
            suffice.
        copies_free: the bytes that copies of weights may take in a file of any size.
        elements_per_byte: the allowed elements of computed constants for each byte of the file.
    """

    def __init__(
        self,
        size: Callable[[], int],
        *,
        copies_free: int = COPIES_FREE,
        elements_per_byte: int = _ELEMENTS_PER_BYTE,
    ) -> None:
        self._size = cache(size)
        self._copies_free = copies_free
        self._elements_per_byte = elements_per_byte
        self.elements = 0
        self.operations = 0
        self._copied = 0
        self._filled = 0

    def spend(self, cost: Cost) -> None:
        """Count a cost. Raises UnsupportedError if the sum of all costs exceeds the file's limit."""
        self.elements += cost.elements
        self.operations += cost.operations
        for used, free, rate, what in (
            (self.elements, ELEMENTS_FREE, self._elements_per_byte, "elements"),
            (self.operations, OPERATIONS_FREE, _OPERATIONS_PER_BYTE, "operations"),
        ):
            if used > free and used > free + rate * self._size():
                raise UnsupportedError(
                    "the constants that are computed from others, and operators of many layers, would take "
                    f"more {what} than are supported: {free} and {rate} times the file's size in bytes"
                )

    def look(self, array: NDArray[Any]) -> None:
        """Count that an operator computes with each place of a constant.

        Raises UnsupportedError as `spend`, and for a broadcast view of more places than a file of this size may have.
        """
        if array.size > PLACES_FREE and stored(array).size < array.size:
            allowed = PLACES_FREE + _PLACES_PER_BYTE * self._size()
            if array.size > allowed:
                raise UnsupportedError(
                    f"computes with a constant of shape {array.shape} that repeats its numbers at {array.size} places; "
                    f"supported are {allowed} places in this file"
                )
        self.spend(Cost.look(array.size))

    def run(self, cost: Cost, compute: Callable[[], Result]) -> Result:
        """Count a cost, then call `compute` and return its result. Raises as `spend`."""
        self.spend(cost)
        return compute()

    def copy(self, size: int, *, is_filled: bool = False) -> None:
        """Count the bytes of a layer's weight. Raises WeightsError if all weights take far more than the file's size.

        Args:
            size: the bytes that the weight takes.
            is_filled: whether all elements are one number, which the file stores once.
        """
        if is_filled:
            self._filled += size
            if self._filled > FILLED_FREE and self._filled > (
                allowed := min(FILLED_FREE + _FILLED_PER_BYTE * self._size(), _FILLED_MOST)
            ):
                raise WeightsError(
                    f"its layers' weights of one number each take more than {allowed >> 20} MiB; supported are "
                    f"{FILLED_FREE >> 20} MiB and {_FILLED_PER_BYTE >> 10} KiB for each of the file's {self._size()} "
                    f"bytes, but at most {_FILLED_MOST >> 20} MiB"
                )
            return
        self._copied += size
        if (
            self._copied > self._copies_free
            and self._copied > self._copies_free + _COPIES_PER_BYTE * self._size()
        ):
            raise WeightsError(
                f"its layers share constants, or move and mix elements by large matrices: together their weights take "
                f"more than {_COPIES_PER_BYTE} times the file's {self._size()} bytes"
            )


def max_nodes(size: int) -> int:
    """Return the maximum number of nodes in place of functions, and in place of composed operators, of an ONNX file."""
    return _NODES_FREE + size // _BYTES_PER_NODE


def max_calls(size: int) -> int:
    """Return the maximum number of calls of layers in a Keras file of `size` bytes."""
    return _CALLS_FREE + size // _BYTES_PER_CALL


def max_objects(size: int) -> int:
    """Return the maximum number of objects that the pickles of a file of `size` bytes may create."""
    return _OBJECTS_FREE + size // _BYTES_PER_OBJECT
