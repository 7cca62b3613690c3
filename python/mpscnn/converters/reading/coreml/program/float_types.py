"""Find the operations of a program that stay in float32 when the network runs in float16.

The types of a program are the lowest precision that Core ML computes with. A program for float16 may compute some of
its operations in float32, with casts before and after them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mpscnn.converters.reading.coreml.program.constants import CONSTEXPR
from mpscnn.converters.reading.coreml.program.types import float_bits

_CONSTANTS = frozenset({"const", *CONSTEXPR})
_WITHOUT_NUMBERS = _CONSTANTS | {"cast", "classify"}


class FloatTypes:
    """The float types of a program's operations.

    In a program that computes in only one of the types, `keeps_float32` and `is_border` are always False.

    Args:
        operations: the messages of all operations.
    """

    def __init__(self, operations: Iterable[Any]) -> None:
        self._bits: dict[str, int | None] = {}
        self._read: set[str] = set()
        computed: set[int | None] = set()
        for message in operations:
            if message.type not in _CONSTANTS:
                self._bits |= {output.name: float_bits(output.type) for output in message.outputs}
            if message.type not in _WITHOUT_NUMBERS:
                computed.update(float_bits(output.type) for output in message.outputs)
                self._read.update(_operands(message))
        self._are_mixed = {16, 32} <= computed

    def keeps_float32(self, message: Any) -> bool:
        """Return True if the file computes an operation in float32, and others in float16."""
        return self._are_mixed and any(float_bits(output.type) == 32 for output in message.outputs)

    def is_border(self, message: Any) -> bool:
        """Return True for a cast between operations of different float types."""
        if not self._are_mixed or message.type != "cast" or len(message.outputs) != 1:
            return False
        made = message.outputs[0]
        types = [float_bits(made.type), *(self._bits.get(name) for name in _operands(message, "x"))]
        return made.name in self._read and sorted(filter(None, types)) == [16, 32]


def _operands(message: Any, parameter: str | None = None) -> set[str]:
    """Return the names of the values that an operation reads: all, or only the values of one parameter."""
    return {
        one.name
        for entry in message.inputs
        if parameter in (None, entry.key)
        for one in entry.value.arguments
        if one.name
    }
