"""Represent operators of ONNX and their attributes."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.schema import ATTRIBUTE_TYPES
from mpscnn.errors import UnsupportedError, WeightsError

_OVERWRITTEN = "consumed_inputs"


class FileAttributes(Mapping[str, Any]):
    """The attributes of a node in a file, as Python values. Graphs, tensors and types stay messages.

    Args:
        proto: the message of the node. Its attributes are read when the first one is asked for.
    """

    def __init__(self, proto: Any) -> None:
        self._proto = proto

    @cached_property
    def entries(self) -> dict[str, Any]:
        """The messages of the attributes by name."""
        return {entry.name: entry for entry in self._proto.attribute}

    @cached_property
    def _values(self) -> dict[str, Any]:
        return {name: getattr(entry, _field(entry)) for name, entry in self.entries.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def items(self) -> ItemsView[str, Any]:
        """Return the names and values."""
        return self._values.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def kind_of(proto: Any) -> str:
    """Return the kind of a node of a file, as `Node.kind` has it."""
    domain, kind = proto.domain, proto.op_type
    return str(kind if domain in ("", "ai.onnx") else f"{domain}.{kind}")


class OwnKind(str):
    """The kind of an operator that ONNX lacks. It equals no other text, so no file can state it."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__


class Node:
    """One operator of a graph.

    Args:
        kind: the name of the operator: one of ONNX, one that begins with a domain, as in "own.Kind", or an `OwnKind`.
        inputs, outputs: the names of the operands and results. An empty name stands for one that is left out.
        attributes: the attributes by name. A tensor is an array, or the message of a file.
        name: the name of the node; empty: that of its first result.
        layer: the name for the node's layers; empty: the name of the node.

    Attributes:
        refused: why the operator cannot be replaced by those of ONNX; empty: it need not be.
        notes: sentences for the user about the operator that was replaced by this one.
    """

    def __init__(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Any],
        name: str = "",
        layer: str = "",
    ) -> None:
        self.kind = kind
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.attributes = attributes
        self.name = name or next(filter(None, self.outputs), "")
        self.layer = layer or self.name
        self.refused = ""
        self.notes: list[str] = []

    @classmethod
    def from_message(cls, proto: Any, *, is_ours: bool) -> Node:
        """Return the node of a file. If mpscnn has written it (`is_ours`), it may state the name of a layer."""
        layer = proto.doc_string if is_ours else ""
        node = cls(kind_of(proto), proto.input, proto.output, FileAttributes(proto), proto.name, layer)
        proto.release()  # a graph may have very many nodes
        return node

    @property
    def settings(self) -> Mapping[str, Any]:
        """The attributes without those that only told an engine which memory it may overwrite, in opset 1."""
        if _OVERWRITTEN not in self.attributes:
            return self.attributes
        return {name: value for name, value in self.attributes.items() if name != _OVERWRITTEN}

    def has(self, name: str) -> bool:
        """Return True if the attribute is stated."""
        return name in self.attributes

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer attribute. Raises WeightsError if it has another type, or is missing without a default."""
        value = self._attribute(name, default)
        if not isinstance(value, int):
            raise WeightsError(f"damaged: its {name} is {value!r}, expected a whole number")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return an integer attribute that says yes or no. Raises WeightsError if it is neither 0 nor 1."""
        value = self.integer(name, int(default))
        if value not in (0, 1):
            raise WeightsError(f"damaged: its {name} is {value}, expected 0 or 1")
        return bool(value)

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """Return an attribute that is a list of integers. Raises the errors of `integer`."""
        value = self._attribute(name, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, int) for one in value):
            raise WeightsError(f"damaged: its {name} are {value!r}, expected whole numbers")
        return list(value)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number as an attribute. Raises the errors of `integer`."""
        value = self._attribute(name, default)
        if not isinstance(value, (int, float)):
            raise WeightsError(f"damaged: its {name} is {value!r}, expected a number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """Return a string attribute. Raises the errors of `integer`."""
        value = _text(self._attribute(name, default))
        if not isinstance(value, str):
            raise WeightsError(f"damaged: its {name} is {value!r}, expected text")
        return value

    def input(self, place: int) -> str | None:
        """Return the name of an input; None if it is left out."""
        return self.inputs[place] if place < len(self.inputs) and self.inputs[place] else None

    def _attribute(self, name: str, default: Any) -> Any:
        value = self.attributes.get(name, default)
        if value is None:
            raise WeightsError(f"damaged: it has no {name}")
        return value


def _text(value: Any) -> Any:
    """Return the text of bytes. Other values are returned unchanged."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _field(entry: Any) -> str:
    """Return the name of the field that has the value of an attribute. Files before 2018 do not state its type."""
    if entry.ref_attr_name:
        raise WeightsError(f"damaged: its {quote_name(entry.name)} refers to an attribute of a function")
    if entry.type in ATTRIBUTE_TYPES:
        return ATTRIBUTE_TYPES[entry.type]
    stated: str | None = next(filter(entry.has, ATTRIBUTE_TYPES.values()), None)
    if entry.type or stated is None:
        raise UnsupportedError(
            f"its {quote_name(entry.name)} is of the type {entry.type}, which is not known"
        )
    return stated
