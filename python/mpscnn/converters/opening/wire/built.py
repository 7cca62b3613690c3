"""Build messages in memory that are read like the messages of a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.wire.kinds import Field, Kind

LIMITS = {
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
}
"""The smallest and the largest number of each type of integers."""

# The bytes that a field and a number take in a file, roughly. The size of a message limits work and memory only.
_BYTES_PER_FIELD, _BYTES_PER_NUMBER = 2, 4


class Built:
    """A message that is built in memory. It has the attributes and methods of `message.Message`.

    Args:
        kind: the kind of message.
        values: the values of its fields.
    """

    __slots__ = ("_is_stated", "_kind", "_skipped", "_values")

    def __init__(self, kind: Kind, **values: Any) -> None:
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_is_stated", False)
        object.__setattr__(self, "_skipped", None)
        for name, value in values.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        field = self._field(name)
        if name not in self._values:
            if field.is_repeated:
                self._values[name] = Listed(field)
            elif field.inner is not None:
                self._values[name] = Built(field.inner)
            else:
                return field.default
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._field(name)
        if field.is_repeated:
            made = Listed(field)
            made.extend(value)
            self._values[name] = made
        else:
            self._values[name] = checked_value(field, value)

    def _field(self, name: str) -> Field:
        if name not in self._kind.fields:
            raise AttributeError(f"{self._kind.name} has no field {name}")
        field: Field = self._kind.fields[name]
        return field

    @property
    def message_kind(self) -> Kind:
        """The kind of message."""
        kind: Kind = self._kind
        return kind

    def has(self, name: str) -> bool:
        """Return True if the message states a field."""
        self._field(name)
        return name in self._values and _is_stated(self._values[name])

    def stated(self) -> list[str]:
        """Return the names of all fields that the message states."""
        return [name for name in self._kind.fields if self.has(name)]

    def count(self, name: str) -> int:
        """Return the number of elements of a list."""
        return len(getattr(self, name))

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a list of numbers as an array."""
        return np.asarray(getattr(self, name))

    def content(self, name: str) -> bytes:
        """Return the bytes of a field."""
        return bytes(getattr(self, name))

    def position(self, name: str) -> None:
        """Return None: the message is not in a file."""

    def mark_stated(self) -> None:
        """Make the message a stated one, even if none of its fields is set."""
        object.__setattr__(self, "_is_stated", True)

    def note_skipped(self, name: str) -> None:
        """Keep the name of a field that a text states and the kind of message does not have."""
        if self._skipped is None:
            object.__setattr__(self, "_skipped", {})
        self._skipped[name] = None

    def skipped_names(self) -> list[str]:
        """Return the names that `note_skipped` keeps, those of inner messages as well."""
        inner = (self._values[name] for name in self.stated() if self._kind.fields[name].inner is not None)
        messages = [one for held in inner for one in (held if isinstance(held, Listed) else [held])]
        return [*(self._skipped or ()), *(name for message in messages for name in message.skipped_names())]

    def clear(self) -> None:
        """Remove the values of all fields."""
        self._values.clear()

    def release(self) -> None:
        """Do nothing: the message is not in a file."""

    def encoded_size(self) -> int:
        """Return roughly the size in bytes that the message has in a file."""
        return sum(map(_size, self._values.values()))

    def is_same(self, other: Built) -> bool:
        """Return True if another message states the same values."""
        mine, theirs = self.stated(), other.stated()
        return mine == theirs and all(_is_equal(self._values[name], other._values[name]) for name in mine)


class Listed(list[Any]):
    """A list of numbers, texts or messages of a field."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self._field = field

    def add(self, **values: Any) -> Built:
        """Add a message and return it."""
        if self._field.inner is None:
            raise AttributeError(f"{self._field.name} has no messages")
        made = Built(self._field.inner, **values)
        super().append(made)
        return made

    def append(self, value: Any) -> None:
        """Add a value."""
        super().append(checked_value(self._field, value))

    def extend(self, values: Iterable[Any]) -> None:
        """Add several values."""
        super().extend(checked_value(self._field, value) for value in values)


def checked_value(field: Field, value: Any) -> Any:
    """Return a value in the type of its field. Raises TypeError or ValueError for values that do not have it."""
    if field.inner is not None:
        if not isinstance(value, Built):
            raise TypeError(f"{field.name} is a message")
        return value
    if field.type == "float":
        return float(np.float32(value))
    if field.is_number:
        number = type(field.default)(value)
        if field.type in LIMITS and not LIMITS[field.type][0] <= number <= LIMITS[field.type][1]:
            raise ValueError(f"{field.name} is {number}")
        return number
    if not isinstance(value, type(field.default)):
        raise TypeError(f"{field.name} is of the type {field.type}")
    return value


def _is_stated(value: Any) -> bool:
    if isinstance(value, Built):
        return value._is_stated or bool(value.stated())
    return bool(value) if isinstance(value, Listed) else True


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, Built):
        return one.is_same(other)
    if isinstance(one, Listed):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    return bool(one == other)


def _size(value: Any) -> int:
    if isinstance(value, Built):
        return _BYTES_PER_FIELD + value.encoded_size()
    if isinstance(value, Listed):
        return sum(map(_size, value))
    return _BYTES_PER_FIELD + (len(value) if isinstance(value, (str, bytes)) else _BYTES_PER_NUMBER)
