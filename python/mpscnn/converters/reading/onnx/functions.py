"""Replace the calls of a model's functions by the functions' nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.node import FileAttributes, Node
from mpscnn.errors import UnsupportedError, WeightsError

# The maximum depth of calls.
_MAX_DEPTH = 64
# The number of nodes that a function makes is not counted beyond this one.
_MANY = 2**31 - 1

_Key = tuple[str, str]
"""The domain and name of a function."""


class Functions:
    """The functions of a model.

    Args:
        model: the message of the model.
        opsets: the versions of the operators that the model uses, by domain.
        origin: the name of the model's file, for messages.
        maximum: the maximum number of nodes that all calls may make.
    """

    def __init__(self, model: Any, opsets: Mapping[str, int], origin: str, maximum: int) -> None:
        self._origin = origin
        self._maximum = maximum
        self._opsets = opsets
        count = model.count("functions")
        if count > maximum:
            raise UnsupportedError(
                f"{origin}: its functions are {count}; supported are {maximum} for a file of its size"
            )
        self._functions: dict[_Key, Any] = {_key(one.domain, one.name): one for one in model.functions}
        self._calls: dict[_Key, list[_Key]] = {
            key: [_key(node.domain, node.op_type) for node in one.node]
            for key, one in self._functions.items()
        }
        self._counts: dict[_Key, int] = {}
        self._used: set[str] = set()
        self._number = 0

    def inlined(self, nodes: Iterable[Node]) -> list[Node]:
        """Return the nodes with the bodies of functions in place of their calls.

        Raises UnsupportedError for too many nodes or another version of operators, and WeightsError for a function that
        calls itself, or that is called with other operands than it has.
        """
        if not self._functions:
            return list(nodes)
        given = list(nodes)
        for key in self._functions:
            self._count(key)
        total = sum(self._counts.get(_key_of(node), 0) for node in given)
        if total > self._maximum:
            raise UnsupportedError(
                f"{self._origin}: its functions make {total} nodes or more; supported are {self._maximum} for a file "
                "of its size"
            )
        self._used = {name for node in given for name in (node.name, *node.inputs, *node.outputs)}
        return [made for node in given for made in self._expanded(node, 0)]

    def _expanded(self, node: Node, depth: int) -> Iterator[Node]:
        function = self._functions.get(_key_of(node))
        if function is None:
            yield node
            return
        if depth == _MAX_DEPTH:
            raise UnsupportedError(f"{self._origin}: its functions call each other {_MAX_DEPTH} times")
        self._check(function, node)
        self._number += 1
        suffix = f"__{self._number}"
        names = dict(zip(function.input, [*node.inputs, *[""] * function.count("input")], strict=False))
        names |= dict(zip(function.output, node.outputs, strict=False))
        names[""] = ""
        stated = {entry.name: entry for entry in function.attribute_proto} | _entries(node)
        for proto in function.node:
            made = Node.from_message(proto, is_ours=False)
            for listed in (made.inputs, made.outputs):
                for place, name in enumerate(listed):
                    if name not in names:
                        names[name] = self._unique(name + suffix)
                    listed[place] = names[name]
            made.name = made.layer = (
                self._unique(proto.name + suffix) if proto.name else next(filter(None, made.outputs), "")
            )
            entries = _entries(made)
            for name, entry in list(entries.items()):
                if entry.ref_attr_name in stated:
                    entries[name] = stated[entry.ref_attr_name]
                elif entry.ref_attr_name:
                    del entries[name]
            yield from self._expanded(made, depth + 1)

    def _check(self, function: Any, node: Node) -> None:
        where = f"{self._origin}: function {quote_name(function.name)}"
        if len(node.inputs) > function.count("input") or len(node.outputs) > function.count("output"):
            raise WeightsError(
                f"damaged: {where} is called with {len(node.inputs)} operands and {len(node.outputs)} results"
            )
        for entry in function.opset_import:
            domain = _domain(entry.domain)
            if self._opsets.get(domain, entry.version) != entry.version:
                raise UnsupportedError(
                    f"{where} is of opset {entry.version}, and its model of {self._opsets[domain]}, which is not "
                    "supported"
                )

    def _unique(self, name: str) -> str:
        while name in self._used:
            name += "_"
        self._used.add(name)
        return name

    def _count(self, wanted: _Key) -> None:
        """Count the nodes that a function expands to. Raises WeightsError for a function that calls itself."""
        waiting, open_calls = [(wanted, False)], set()
        while waiting:
            key, inner_done = waiting.pop()
            if key in self._counts or key not in self._calls:
                continue
            if inner_done:
                # The number is limited, because nested calls can make it grow exponentially.
                self._counts[key] = min(sum(self._counts.get(call, 1) for call in self._calls[key]), _MANY)
                open_calls.discard(key)
                continue
            if key in open_calls:
                raise WeightsError(f"damaged: {self._origin}: function {quote_name(key[1])} calls itself")
            open_calls.add(key)
            waiting.append((key, True))
            waiting += [(call, False) for call in self._calls[key]]


def _entries(node: Node) -> dict[str, Any]:
    """Return the messages of a node's attributes by name."""
    assert isinstance(node.attributes, FileAttributes)
    return node.attributes.entries


def _domain(text: str) -> str:
    return "" if text == "ai.onnx" else text


def _key(domain: str, name: str) -> _Key:
    return _domain(domain), name


def _key_of(node: Node) -> _Key:
    domain, _, name = node.kind.rpartition(".")
    return domain, name
