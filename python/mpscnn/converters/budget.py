"""The work and memory that reading one file may take beyond its own bytes, counted before they are spent.

A few bytes can ask for much: constants that are repeated, products of large constants, weights that many layers share.
All readers count such work here. Each limit has a part that every file has, and one in proportion to the file's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mpscnn.errors import UnsupportedError, WeightsError

Result = TypeVar("Result")

# Elements of constants that are computed. At four bytes each these are 64 MiB, and 16 bytes for each byte of the file.
ELEMENTS_FREE = 1 << 24
_ELEMENTS_PER_BYTE = 4
# An operation takes about a nanosecond.
OPERATIONS_FREE = 1 << 30
_OPERATIONS_PER_BYTE = 64
# Bytes of weights. Layers may share weights, as the heads of detectors do, and each layer has a copy.
_COPIES_PER_BYTE = 16
COPIES_FREE = 65_536
# Weights of one number for all elements, as published test networks have: no file holds them.
FILLED_FREE = 640 << 20
# Elements of such a constant for one element that is counted: it takes no memory before a layer has it.
_FILLED_PER_ELEMENT = 16
# Nodes that a file's functions stand for, and objects that a pickle makes.
_NODES_FREE, _BYTES_PER_NODE = 4_096, 16
_OBJECTS_FREE, _BYTES_PER_OBJECT = 1 << 18, 8


@dataclass(frozen=True)
class Cost:
    """The cost of computing a constant.

    Attributes:
        elements: of the results, and of what is in memory next to them meanwhile.
        operations: about the time in nanoseconds.
    """

    elements: int
    operations: int

    @classmethod
    def filled(cls, elements: int) -> Cost:
        """Return the cost of a constant with one number for all elements, which is stored once."""
        return cls(1 + elements // _FILLED_PER_ELEMENT, 1)

    @classmethod
    def look(cls, elements: int) -> Cost:
        """Return the cost of comparing all elements of a constant with a number."""
        return cls(0, elements // 4)


class Budget:
    """The remaining budget of one file.

    Args:
        size: the file's size in bytes; called where the part that every file has does not suffice.
        copies_free: the bytes that copies of weights may take whatever the file's size is.
        elements_per_byte: of computed constants for each byte of the file.
    """

    def __init__(
        self,
        size: Callable[[], int],
        *,
        copies_free: int = COPIES_FREE,
        elements_per_byte: int = _ELEMENTS_PER_BYTE,
    ) -> None:
        self._size = size
        self._copies_free = copies_free
        self._elements_per_byte = elements_per_byte
        self.elements = 0
        self.operations = 0
        self._copied = 0
        self._filled = 0

    def spend(self, cost: Cost) -> None:
        """Count a cost. Raises UnsupportedError where all costs together are more than the file may have."""
        self.elements += cost.elements
        self.operations += cost.operations
        for used, free, rate, what in (
            (self.elements, ELEMENTS_FREE, self._elements_per_byte, "elements"),
            (self.operations, OPERATIONS_FREE, _OPERATIONS_PER_BYTE, "operations"),
        ):
            if used > free and used > free + rate * self._size():
                raise UnsupportedError(
                    f"the constants that are computed of others would take {used} {what}; supported are {free} and "
                    f"{rate} times the file's size in bytes"
                )

    def run(self, cost: Cost, compute: Callable[[], Result]) -> Result:
        """Compute something after its cost was counted. Raises as `spend`."""
        self.spend(cost)
        return compute()

    def copy(self, size: int, *, is_filled: bool = False) -> None:
        """Count the bytes of a layer's weight. Raises WeightsError where all take far more than the file's size.

        Args:
            size: the bytes that the weight takes.
            is_filled: whether the file has one number for all elements of it.
        """
        if is_filled:
            self._filled += size
            if self._filled > FILLED_FREE:
                raise WeightsError(
                    f"its layers' weights of one number each take more than {FILLED_FREE >> 20} MiB, which no file "
                    "holds"
                )
            return
        self._copied += size
        if (
            self._copied > self._copies_free
            and self._copied > self._copies_free + _COPIES_PER_BYTE * self._size()
        ):
            raise WeightsError(
                f"its layers share constants: together their weights take more than {_COPIES_PER_BYTE} times the "
                f"file's {self._size()} bytes"
            )


def max_nodes(size: int) -> int:
    """Return the number of nodes that the functions of a file of `size` bytes may stand for."""
    return _NODES_FREE + size // _BYTES_PER_NODE


def max_objects(size: int) -> int:
    """Return the number of objects that the pickles of a file of `size` bytes may make."""
    return _OBJECTS_FREE + size // _BYTES_PER_OBJECT
