"""Make the numbers of a protocol buffer message extreme: one at a time, or one extent everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

#: The numbers that take the place of an extent.
LARGE = (1 << 13, 1 << 24)
_INTEGERS = (0, -1, 1 << 13, 1 << 20, 1 << 24, (1 << 31) - 1, (1 << 63) - 1)
_FLOATS = (0.0, 1e38, float("nan"))
_MAX_LISTED = 4  # of a longer list of numbers, only the first ones are changed

Number = tuple[Any, Any, int | None]
"""A message, one of its fields that has a number, and for a list the place of the number."""


def numbers(message: Any) -> Iterator[Number]:
    """Yield all numbers that are set in a message and in its inner messages."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from numbers(inner)
        elif field.cpp_type not in (field.CPPTYPE_STRING, field.CPPTYPE_ENUM, field.CPPTYPE_BOOL):
            places = range(min(len(value), _MAX_LISTED)) if field.is_repeated else [None]
            yield from ((message, field, place) for place in places)


def extreme_messages(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield a name and a message for each change of a number, and for each extent that becomes large everywhere."""
    found = list(numbers(message))
    extents = sorted({value for one in found if _is_whole(one) and 1 < (value := _get(one)) < 64})
    for old in extents:
        for new in LARGE:
            yield (
                f"{old}-to-{new}",
                _changed(message, lambda one, old=old, new=new: new if one == old else None),
            )
    for place, one in enumerate(found):
        for extreme in _INTEGERS if _is_whole(one) else _FLOATS:
            made = type(message)()
            made.CopyFrom(message)
            if _set(list(numbers(made))[place], extreme):
                yield f"{one[1].name}-{place}-{extreme}", made


def change(message: Any, random: Random) -> None:
    """Change a number of a message, or all whole numbers that are equal to it."""
    found = list(numbers(message))
    if not found:
        return
    one = random.choice(found)
    old, new = _get(one), random.choice(_INTEGERS if _is_whole(one) else _FLOATS)
    equal = random.random() < 0.5
    for other in found:
        if other is one or (equal and _is_whole(other) and _get(other) == old):
            _set(other, new)


def _changed(message: Any, change: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    for one in list(numbers(made)):
        if _is_whole(one) and (new := change(_get(one))) is not None:
            _set(one, new)
    return made


def _is_whole(one: Number) -> bool:
    return one[1].cpp_type not in (one[1].CPPTYPE_FLOAT, one[1].CPPTYPE_DOUBLE)


def _get(one: Number) -> Any:
    message, field, place = one
    value = getattr(message, field.name)
    return value if place is None else value[place]


def _set(one: Number, new: Any) -> bool:
    """Set a number. Return False if its type does not have the new one."""
    message, field, place = one
    try:
        if place is None:
            setattr(message, field.name, new)
        else:
            getattr(message, field.name)[place] = new
    except (ValueError, OverflowError):
        return False
    return True
