"""The operators of a TensorFlow graph, and the functions in its library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import WeightsError


class Node:
    """An operator.

    Args:
        message: its message in the file.
    """

    def __init__(self, message: Any) -> None:
        self._message = message
        self.name: str = message.name
        self.op: str = message.op
        self._inputs: tuple[str, ...] = tuple(message.input)

    @property
    def operands(self) -> list[str]:
        """The texts that refer to the values which the operator reads."""
        return [text for text in self._inputs if not text.startswith("^")]

    @property
    def inputs(self) -> list[str]:
        """The operands, and the names of operators that must run before (control dependencies)."""
        return [text.removeprefix("^") for text in self._inputs]

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The messages of the attributes by name."""
        return {entry.key: entry.value for entry in self._message.attr}


class Function:
    """A function of the library.

    Args:
        message: its message in the file.

    Attributes:
        nodes: the operators of its body by name.
        arguments: the names of its arguments.
        results: the texts that refer to its results.
        parts: the number of operators and operands in the body.
    """

    def __init__(self, message: Any) -> None:
        self.nodes = index_by_name(message.node_def)
        self.arguments: list[str] = [argument.name for argument in message.signature.input_arg]
        returned = {entry.key: entry.value for entry in message.ret}
        self.results = [returned.get(result.name, "") for result in message.signature.output_arg]
        self.parts = sum(1 + len(node.inputs) for node in self.nodes.values())


def index_by_name(messages: Iterable[Any]) -> Mapping[str, Node]:
    """Return operators by their names. Raises WeightsError if two have the same name."""
    nodes: dict[str, Node] = {}
    for message in messages:
        if message.name in nodes:
            raise WeightsError(f"damaged: two of its operators have the name {quote_name(message.name)}")
        nodes[message.name] = Node(message)
    return nodes


def functions_by_name(messages: Iterable[Any]) -> dict[str, Any]:
    """Return the messages of functions by their names. Raises WeightsError if two different ones have the same name."""
    functions: dict[str, Any] = {}
    for message in messages:
        name = message.signature.name
        known = functions.setdefault(name, message)
        if known is not message and not known.is_same(message):
            raise WeightsError(f"damaged: two of its functions have the name {quote_name(name)}")
    return functions
