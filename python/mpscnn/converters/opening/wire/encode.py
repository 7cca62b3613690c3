"""Write messages again from the fields that are read, so that nothing else of a file gets into the result."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening import varints
from mpscnn.converters.opening.wire.built import Built
from mpscnn.converters.opening.wire.kinds import Field
from mpscnn.converters.opening.wire.message import Message

Stated = Message | Built
Changes = Mapping[str, Any]
"""New values of fields by name. None leaves a field out. Messages may be given as their bytes."""


def encode(message: Stated, change: Callable[[Any], Changes]) -> bytes:
    """Return the bytes of a message with the fields that its kind has, and no others.

    Args:
        message: the message, of a file or built in memory.
        change: returns what changes in a message, which may be this one or one within it.

    Raises WeightsError where the file is damaged.
    """
    parts: list[bytes] = []
    changes = change(message)
    fields = message.message_kind.fields
    stated = dict.fromkeys([*message.stated(), *changes])
    for name in stated:
        field = fields[name]
        if name not in changes:
            value = _value(message, field)
        elif (value := changes[name]) is None:
            continue
        parts.append(_encoded(field, value, change))
    return b"".join(parts)


def encode_fields(values: Mapping[int, Any]) -> bytes:
    """Return the bytes of a message whose fields are given by number: integers, bytes, texts, and lists of these."""
    parts = []
    for number, value in values.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, int):
                parts.append(varints.encode(number << 3) + varints.encode(one & (1 << 64) - 1))
            else:
                parts.append(_with_length(number << 3 | 2, one.encode() if isinstance(one, str) else one))
    return b"".join(parts)


def _value(message: Stated, field: Field) -> Any:
    if field.is_number and field.is_repeated:
        return message.numbers(field.name)
    if field.type == "bytes" and not field.is_repeated:
        return message.content(field.name)
    return getattr(message, field.name)


def _encoded(field: Field, value: Any, change: Callable[[Any], Changes]) -> bytes:
    if field.is_number:
        if not field.is_repeated:
            return varints.encode(field.tag) + _number(field.type, value)
        return _with_length(field.packed_tag, _numbers(field.type, value))
    values: Iterable[Any] = value if field.is_repeated else [value]
    return b"".join(_with_length(field.tag, _content(one, change)) for one in values)


def _content(value: Any, change: Callable[[Any], Changes]) -> bytes:
    if isinstance(value, (Message, Built)):
        return encode(value, change)
    return value.encode() if isinstance(value, str) else bytes(value)


def _with_length(tag: int, content: bytes) -> bytes:
    return varints.encode(tag) + varints.encode(len(content)) + content


def _number(kind: str, value: Any) -> bytes:
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", value)
    return varints.encode(int(value) & (1 << 64) - 1)


def _numbers(kind: str, values: Any) -> bytes:
    """Return numbers that are stored together."""
    array = np.asarray(values)
    if kind in ("float", "double"):
        return array.astype("<f4" if kind == "float" else "<f8").tobytes()
    bits = array.astype(np.int64).view(np.uint64) if array.dtype.kind != "u" else array.astype(np.uint64)
    return _varints(bits)


def _varints(bits: NDArray[np.uint64]) -> bytes:
    """Encode many numbers: column i has the i-th seven bits of each, as far as the number needs them."""
    places = np.arange(varints.LONGEST, dtype=np.uint64)
    columns = bits[:, None] >> (np.uint64(7) * places)
    needed = columns != 0
    needed[:, 0] = True
    content = (columns & np.uint64(0x7F)).astype(np.uint8)
    content[:, :-1] |= needed[:, 1:].astype(np.uint8) << 7
    packed: bytes = content[needed].tobytes()
    return packed
