"""Leave large weights out of a Core ML message before it is parsed; see `converters.skipped_bytes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpscnn.converters.skipped_bytes import LENGTH, Field, Holder, Path
from mpscnn.converters.varints import encode

WEIGHT_PLACE = 1001
"""The number of a field that is added to weights for the position of their data. Core ML has no such field."""

FLOATS, HALVES, BITS, BYTES = 1, 2, 30, 31
"""The numbers of the fields with a weight's data."""

# The maximum nesting of pipelines in pipelines. Weights of deeper ones stay in the message.
_MAX_MODELS = 3


def message_paths(messages: Mapping[str, str], name: str, wanted: str, within: tuple[str, ...] = ()) -> Path:
    """Return the paths of fields from a message to all inner messages of one kind.

    Args:
        messages: the fields of all kinds of messages, as for `message_class`.
        name: the kind of the outer message.
        wanted: the kind of the messages with data.
        within: the kinds of the messages that contain the outer message.
    """
    found: dict[int, Path | Holder] = {}
    for described in messages[name].split():
        _, kind, number = described.split(":")
        kind = kind.rstrip("*")
        inside = (*within, name)
        if kind == wanted:
            found[int(number)] = WEIGHT
        elif kind in messages and inside.count(kind) < (_MAX_MODELS if kind in _NESTED else 1):
            inner = message_paths(messages, kind, wanted, inside)
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
    numbers = b"".join(map(encode, (data.number, data.start, data.end - data.start)))
    return encode(WEIGHT_PLACE << 3 | LENGTH) + encode(len(numbers)) + numbers


WEIGHT = Holder(_data, _reference)
