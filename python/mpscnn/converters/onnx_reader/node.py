"""Represent the nodes of an ONNX file and their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mpscnn.errors import WeightsError

if TYPE_CHECKING:
    import onnx


class Node:
    """One operator of the graph.

    Attributes:
        layer: the name for the node's layers: the node's name, or in files that mpscnn wrote, the stated layer.
    """

    def __init__(self, proto: onnx.NodeProto, *, is_ours: bool) -> None:
        self.proto = proto
        self.kind: str = (
            proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        )
        self.inputs: list[str] = list(proto.input)
        self.outputs: list[str] = list(proto.output)
        self.name: str = proto.name or next(filter(None, self.outputs), "")
        self.layer = (proto.doc_string if is_ours else "") or self.name

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes as Python values. Graphs, tensors and types stay protocol buffer messages."""
        import onnx

        return {entry.name: onnx.helper.get_attribute_value(entry) for entry in self.proto.attribute}

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

    def tensor(self, name: str) -> onnx.TensorProto:
        """Return an attribute that is a tensor. Raises the errors of `integer`."""
        import onnx

        value = self._attribute(name, None)
        if not isinstance(value, onnx.TensorProto):
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
