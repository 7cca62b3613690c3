"""Find the offsets, lengths, numbers and vtables of a TensorFlow Lite file, for mutations that keep the rest intact."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Places", "places_of"]

# For each kind of table, the targets of the fields that are offsets, by the number of the field. A mapping describes a
# table. A list with a mapping is a vector of tables. A number is a vector of elements of so many bytes.
_QUANTIZATION: Mapping[int, Any] = {2: 4, 3: 8}
_TENSOR: Mapping[int, Any] = {0: 4, 3: 1, 4: _QUANTIZATION, 6: {}, 7: 4}
_OPERATOR: Mapping[int, Any] = {1: 4, 2: 4, 4: {}, 5: 1}
_SUBGRAPH: Mapping[int, Any] = {0: [_TENSOR], 1: 4, 2: 4, 3: [_OPERATOR]}
_FILE: Mapping[int, Any] = {1: [{1: 1}], 2: [_SUBGRAPH], 4: [{0: 1}], 7: [{2: 1}]}

_MOST = 20_000


@dataclass
class Places:
    """The byte positions of the parts of a FlatBuffer.

    Attributes:
        offsets: 32-bit offsets, which count from their own position.
        tables: tables.
        vectors: vectors, which begin with a 32-bit length.
        numbers: fields, and elements of vectors, of up to 32 bits.
        slots: 16-bit entries of vtables, which state the position of a field in its table.
    """

    offsets: list[int] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    vectors: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)


def places_of(data: bytes) -> Places:
    """Return all parts that can be reached. Parts beyond the end of a damaged file are left out."""
    places = Places()
    waiting: list[tuple[int, Any]] = [(0, _FILE)]
    while waiting and len(places.offsets) < _MOST:
        at, kind = waiting.pop()
        try:
            _follow(data, at, kind, places, waiting)
        except struct.error:
            continue
    return places


def _follow(data: bytes, at: int, kind: Any, places: Places, waiting: list[tuple[int, Any]]) -> None:
    target = at + struct.unpack_from("<I", data, at)[0]
    places.offsets.append(at)
    if isinstance(kind, Mapping):
        _table(data, target, kind, places, waiting)
        return
    (length,) = struct.unpack_from("<I", data, target)
    places.vectors.append(target)
    if isinstance(kind, list):
        waiting += [(target + 4 + 4 * i, kind[0]) for i in range(min(length, _MOST))]
    else:
        places.numbers += [target + 4 + kind * i for i in range(min(length, 16))]


def _table(
    data: bytes, at: int, fields: Mapping[int, Any], places: Places, waiting: list[tuple[int, Any]]
) -> None:
    places.tables.append(at)
    layout = at - struct.unpack_from("<i", data, at)[0]
    (size,) = struct.unpack_from("<H", data, layout)
    for number in range(min((size - 4) // 2, 32)):
        slot = layout + 4 + 2 * number
        (offset,) = struct.unpack_from("<H", data, slot)
        places.slots.append(slot)
        if not offset:
            continue
        if number in fields:
            waiting.append((at + offset, fields[number]))
        else:
            places.numbers.append(at + offset)
