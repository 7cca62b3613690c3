"""The operands of a node as values, for operators that compute constants and tensors of the network alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpscnn.converters.budget import Budget
from mpscnn.converters.constant import Constant
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.value import Value
from mpscnn.errors import WeightsError


class Operands:
    """The operands of a node. The first one is a value in any state, and settings such as axes are constants.

    Args:
        node: the node.
        budget: counts the cost of constants.
        constant: returns the constant of a name, or raises an error that the text begins.
        value: returns the value of a name. Its second argument is whether the value may be integers of the network.
    """

    def __init__(
        self,
        node: Node,
        budget: Budget,
        constant: Callable[[str | None, str], Constant],
        value: Callable[[str, bool], Value],
    ) -> None:
        self.node = node
        self.budget = budget
        self._constant = constant
        self._value = value

    def x(self, *, whole_numbers: bool = False) -> Value:
        """Return the first operand. Integers that the network computes are refused unless `whole_numbers` is True."""
        name = self.node.input(0)
        if name is None:
            raise WeightsError("damaged: its operand 1 is missing")
        return self._value(name, whole_numbers)

    def constant(self, place: int, what: str) -> Constant:
        """Return an operand that must be constant. `what` begins the message if it is not, or if it is missing."""
        return self._constant(self.node.input(place), what)

    def setting(self, name: str, place: int, what: str) -> Constant | Sequence[int] | None:
        """Return integers that are an attribute in old opsets, and an operand in later ones; None: they are left out.

        `what` begins the message if the network computes them.
        """
        if self.node.input(place) is None:
            return self.node.integers(name) if self.node.has(name) else None
        return self.constant(place, what)

    def integers(self, name: str, place: int, what: str) -> list[int] | None:
        """Return a setting as a list of integers, which must not depend on a free extent; see `setting`."""
        stated = self.setting(name, place, what)
        if isinstance(stated, Constant):
            return stated.integers(what)
        return None if stated is None else [*stated]


Row = Callable[[Operands], Value | Sequence[Value]]
"""Computes the result or the results of a node."""
