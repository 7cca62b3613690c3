"""Change values of a protobuf message, so that it remains a valid message."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from google.protobuf.message import DecodeError
from mutation import INTERESTING


def other_values(kind: Any, content: bytes, random: Random, texts: Sequence[str]) -> bytes | None:
    """Return a message with other values in some fields; None if the bytes are not a message.

    Args:
        kind: the class of the message.
        content: the bytes of the message.
        random: the generator that chooses fields and values.
        texts: the values that strings may get.
    """
    message = kind()
    try:
        message.ParseFromString(content)
    except DecodeError:
        return None
    for _ in range(random.choice((1, 1, 2, 4))):
        held, field = _any_field(message, random)
        if field is None:
            continue
        listed = field.is_repeated
        values = getattr(held, field.name)
        if listed and len(values) and random.random() < 0.3:
            del values[random.randrange(len(values)) :]
        elif listed:
            values.append(_value(field, random, texts))
        else:
            setattr(held, field.name, _value(field, random, texts))
    return bytes(message.SerializeToString())


def _any_field(message: Any, random: Random) -> tuple[Any, Any]:
    """Walk at random to a field that is set and is not a message. Return the message that holds it, and the field.

    The field is None if the walk ends at an empty message. Sometimes the walk duplicates a repeated field's element.
    """
    while True:
        fields = message.ListFields()
        if not fields:
            return message, None
        field, value = random.choice(fields)
        if field.message_type is None:
            return message, field
        if field.is_repeated:
            if random.random() < 0.1:
                value.add().CopyFrom(random.choice(value))
            message = random.choice(value)
        else:
            message = value


def _value(field: Any, random: Random, texts: Sequence[str]) -> Any:
    kinds = (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE)
    if field.cpp_type in kinds:
        return random.choice((0.0, -1.0, 0.5, 1e38, float("nan"), float("inf")))
    if field.cpp_type == field.CPPTYPE_BOOL:
        return random.random() < 0.5
    if field.cpp_type == field.CPPTYPE_STRING:
        text = random.choice(texts)
        return text.encode() if field.type == field.TYPE_BYTES else text
    number = random.choice((*INTERESTING, *range(9)))
    if field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        number = abs(number)
    if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32):
        number = max(min(number, 2**31 - 1), -(2**31))
    return max(min(number, 2**63 - 1), -(2**63))
