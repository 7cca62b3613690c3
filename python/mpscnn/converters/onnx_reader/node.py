"""Represent the nodes of an ONNX file and their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.onnx_reader.schema import ATTRIBUTE_TYPES
from mpscnn.errors import UnsupportedError, WeightsError

_TENSOR = "t"


class Node:
    """One operator of the graph.

    Args:
        proto: the message.
        is_ours: whether mpscnn has written the file.

    Attributes:
        layer: the name for the node's layers: the node's name, or in files that mpscnn wrote, the stated layer.
    """

    def __init__(self, proto: Any, *, is_ours: bool) -> None:
        self.proto = proto
        domain, kind = proto.domain, proto.op_type
        self.kind: str = kind if domain in ("", "ai.onnx") else f"{domain}.{kind}"
        self.inputs: list[str] = list(proto.input)
        self.outputs: list[str] = list(proto.output)
        self.name: str = proto.name or next(filter(None, self.outputs), "")
        self.layer: str = (proto.doc_string if is_ours else "") or self.name
        proto.release()  # a graph may have very many nodes

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes as Python values. Graphs, tensors and types stay messages."""
        return {name: getattr(entry, _field(entry)) for name, entry in self.entries.items()}

    @cached_property
    def entries(self) -> dict[str, Any]:
        """The messages of the attributes by name."""
        return {entry.name: entry for entry in self.proto.attribute}

    def has(self, name: str) -> bool:
        """Return True if the attribute is stated."""
        return name in self.attributes

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer attribute. Raises WeightsError if it has another type, or is missing without a default."""
        value = self._attribute(name, default)
        if not isinstance(value, int):
            raise WeightsError(f"damaged: its {name} is {value!r}, expected a whole number")
        return value

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

    def numbers(self, name: str) -> list[float]:
        """Return an attribute that is a list of numbers, empty if it is missing. Raises the errors of `integer`."""
        value = self._attribute(name, [])
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, (int, float)) for one in value):
            raise WeightsError(f"damaged: its {name} are {value!r}, expected numbers")
        return [float(one) for one in value]

    def text(self, name: str, default: str) -> str:
        """Return a string attribute. Raises the errors of `integer`."""
        value = self._attribute(name, default)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if not isinstance(value, str):
            raise WeightsError(f"damaged: its {name} is {value!r}, expected text")
        return value

    def tensor(self, name: str) -> Any:
        """Return the message of an attribute that is a tensor. Raises the errors of `integer`."""
        value = self._attribute(name, None)
        if _field(self.entries[name]) != _TENSOR:
            raise WeightsError(f"damaged: its {name} is not a tensor")
        return value

    def input(self, place: int) -> str | None:
        """Return the name of an input; None if it is left out."""
        return self.inputs[place] if place < len(self.inputs) and self.inputs[place] else None

    def _attribute(self, name: str, default: Any) -> Any:
        value = self.attributes.get(name, default)
        if value is None:
            raise WeightsError(f"damaged: it has no {name}")
        return value


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
