"""The operands of a node as values, for operators that compute constants and tensors of the network alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpscnn.converters.budget import Budget
from mpscnn.converters.constant import Constant
from mpscnn.converters.onnx_reader.constants import Constants
from mpscnn.converters.onnx_reader.context import Context, Made
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.value import Value
from mpscnn.errors import WeightsError


class Operands:
    """The operands of a node: either all are constants, or the network computes some. Settings are constants.

    Args:
        node: the node.
        constants: the constants of the file.
        context: the network that gets the layers; None: all operands are constants.
    """

    def __init__(self, node: Node, constants: Constants, context: Context | None = None) -> None:
        self.node = node
        self.stored = constants
        self.budget: Budget = constants.budget
        self.are_constants = context is None
        self._context = context

    @property
    def c(self) -> Context:
        """The network that gets the layers, if it computes some operands."""
        assert self._context is not None
        return self._context

    def x(self, *, whole_numbers: bool = False) -> Value:
        """Return the first operand. Integers that the network computes are refused unless `whole_numbers` is True."""
        if self._context is None or self.node.input(0) is None:
            return self.given(0)
        return self._context.value(self.node.input(0), whole_numbers=whole_numbers)

    def value(self, place: int, *, whole_numbers: bool = False) -> Value:
        """Return an operand in its own state. Trainable parameters are tensors of the network."""
        name, c = self.node.input(place), self._context
        if name is None or c is None or (c.is_constant(name) and not c.learns(name)):
            return self.given(place)
        return c.value(name, whole_numbers=whole_numbers)

    def values(self, *, whole_numbers: bool = False) -> Sequence[Value]:
        """Return all operands in one state: constants, or tensors of the network if it computes one of them."""
        if self._context is None:
            return [self.given(place) for place in range(len(self.node.inputs))]
        return self._context.tensors(self.node.inputs, whole_numbers=whole_numbers)

    def common(self, place: int, *, whole_numbers: bool = False) -> Value:
        """Return an operand in the state of all: a constant, or else a tensor."""
        if self._context is None:
            return self.given(place)
        return self._context.tensor(self.node.inputs[place], whole_numbers=whole_numbers)

    def given(self, place: int) -> Constant:
        """Return an operand that is a constant. Raises WeightsError if it is left out."""
        name = self.node.input(place)
        if name is None:
            raise WeightsError(f"damaged: its operand {place + 1} is missing")
        return self.stored.operand(name, "its operand")

    def optional(self, place: int) -> Constant | None:
        """Return an operand that is a constant; None if it is left out."""
        return None if self.node.input(place) is None else self.given(place)

    def constant(self, place: int, what: str) -> Constant:
        """Return an operand that must be constant. `what` begins the message if it is not, or if it is missing."""
        return self.stored.operand(self.node.input(place), what)

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


Row = Callable[[Operands], Made]
"""Computes the result or the results of a node. None: it has set the results itself."""
