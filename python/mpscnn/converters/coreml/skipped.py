"""Large weights of a Core ML model stay in the file while it is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpscnn.converters.skipped_bytes import LENGTH, Field, Holder, Path
from mpscnn.converters.varints import encoded

WEIGHT_PLACE = 1001
"""The field of a weight that says where its data lies instead. Core ML has no such field."""

FLOATS, HALVES, BITS, BYTES = 1, 2, 30, 31
"""The fields of a weight that hold its data."""

# A pipeline may hold pipelines. Weights of deeper ones are read with the message.
_MAX_MODELS = 3


def places_of(messages: Mapping[str, str], name: str, wanted: str, within: tuple[str, ...] = ()) -> Path:
    """Return where messages of one kind lie in another one.

    Args:
        messages: the fields of all kinds, as for `message_class`.
        name: the kind of the outer message.
        wanted: the kind of the messages with data.
        within: the kinds that the outer message lies in.
    """
    found: dict[int, Path | Holder] = {}
    for described in messages[name].split():
        _, kind, number = described.split(":")
        kind = kind.rstrip("*")
        inside = (*within, name)
        if kind == wanted:
            found[int(number)] = WEIGHT
        elif kind in messages and inside.count(kind) < (_MAX_MODELS if kind in _NESTED else 1):
            inner = places_of(messages, kind, wanted, inside)
            if inner:
                found[int(number)] = inner
    return found


_NESTED = ("Model", "Pipeline", "PipelineOf")


def _data(fields: Sequence[Field]) -> Field | None:
    held = [field for field in fields if field.number in (FLOATS, HALVES, BITS, BYTES)]
    if len(held) != 1 or held[0].kind != LENGTH:
        return None
    if any(field.number == WEIGHT_PLACE for field in fields):
        return None
    return held[0]


def _reference(data: Field) -> bytes:
    numbers = b"".join(map(encoded, (data.number, data.start, data.end - data.start)))
    return encoded(WEIGHT_PLACE << 3 | LENGTH) + encoded(len(numbers)) + numbers


WEIGHT = Holder(_data, _reference)
