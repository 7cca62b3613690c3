"""Describe protocol buffer messages by compact tables of their fields, without .proto files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VARINT, EIGHT_BYTES, LENGTH, GROUP, END_OF_GROUP, FOUR_BYTES = range(6)
"""The wire types of protocol buffers."""

_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("int32", "int64", "uint32", "uint64"), 0),
    **dict.fromkeys(("float", "double"), 0.0),
    "bool": False,
    "string": "",
    "bytes": b"",
}
_FIXED = {"float": FOUR_BYTES, "double": EIGHT_BYTES}
_TEXTS = ("string", "bytes")


class Field:
    """A field of a message.

    Args:
        name, number: the name and number in the format's specification.
        type: the type in the specification, such as "int64", or the kind of an inner message.
        is_repeated: whether the message has a list of such values.
        inner: the kind of the inner message; None for numbers and texts.

    Attributes:
        is_number: whether it is a number or a truth value.
        default: the value of a field that a message does not state; None for inner messages.
        tag: the number that stands before a single value of the field.
        packed_tag: the number that stands before a list of numbers which are stored together.
    """

    def __init__(self, name: str, number: int, type: str, is_repeated: bool, inner: Kind | None) -> None:
        self.name = name
        self.number = number
        self.type = type
        self.is_repeated = is_repeated
        self.inner = inner
        self.is_number = inner is None and type not in _TEXTS
        self.default: Any = _DEFAULTS.get(type)
        self.packed_tag = number << 3 | LENGTH
        self.tag = number << 3 | _FIXED.get(type, VARINT) if self.is_number else self.packed_tag


@dataclass(eq=False)
class Kind:
    """A kind of message.

    Attributes:
        name: the name in the table.
        fields: the fields that are read, by name.
        tags: the tags that these fields may have in a file.
        numbers: the names of these fields by number.
        keeps_unknown: whether messages keep fields that are not read; see `Message.unread`.
    """

    name: str
    fields: dict[str, Field] = field(default_factory=dict)
    tags: set[int] = field(default_factory=set)
    numbers: dict[int, str] = field(default_factory=dict)
    keeps_unknown: bool = False

    def add(self, made: Field) -> None:
        """Add a field."""
        self.fields[made.name] = made
        self.numbers[made.number] = made.name
        self.tags.add(made.tag)
        if made.is_repeated and made.is_number:
            self.tags.add(made.packed_tag)


def read_table(messages: Mapping[str, str]) -> dict[str, Kind]:
    """Return the kinds of messages that a table describes, by name.

    Args:
        messages: the fields of each message as "name:type" or "name:type:number". A star after the type marks a
            repeated field. The default number is the field's place in the list, from 1.
    """
    kinds = {name: Kind(name) for name in messages}
    for name, fields in messages.items():
        for place, described in enumerate(fields.split(), start=1):
            own, kind, *number = described.split(":")
            plain = kind.rstrip("*")
            inner = kinds.get(plain)
            if inner is None and plain not in _DEFAULTS:
                raise AssertionError(f"{name} has a field of the unknown type {plain}")
            kinds[name].add(Field(own, int(number[0]) if number else place, plain, plain != kind, inner))
    return kinds
