"""Written FlatBuffers and FlexBuffers are read as they were meant."""

from __future__ import annotations

import numpy as np
import pytest

from mpscnn import UnsupportedError
from mpscnn.converters.opening.file_bytes import MemoryBytes
from mpscnn.converters.reading.tflite import flatbuffer_builder
from mpscnn.converters.reading.tflite.flatbuffer import Table
from mpscnn.converters.reading.tflite.flatbuffer_builder import Data, Fields, Number, flatbuffer
from mpscnn.converters.reading.tflite.flexbuffer import read_map, write_map

SCALARS = {
    "b": -3,
    "B": 200,
    "h": -300,
    "H": 60000,
    "i": -(2**31),
    "I": 2**32 - 1,
    "q": -(2**63),
    "f": 1.5,
    "d": 0.1,
}


def test_scalars_of_all_sizes_lie_at_their_alignment() -> None:
    fields: Fields = {2 * place: Number(kind, value) for place, (kind, value) in enumerate(SCALARS.items())}
    content = flatbuffer(fields, b"TEST")
    assert content[4:8] == b"TEST"
    table = Table.root(MemoryBytes(content))
    for place, (kind, value) in enumerate(SCALARS.items()):
        assert table.number(2 * place, kind) == value
        assert not table.has(2 * place + 1)


def test_references() -> None:
    inner: Fields = {0: "ä name", 3: np.asarray([1, -2, 3], np.int32)}
    fields: Fields = {
        0: inner,
        1: [inner, {}, {1: [{0: Number("i", 7)}]}],
        2: Data(b"12345", 16),
        3: np.asarray([2**40], np.int64),
        4: [],
        5: "",
    }
    content = flatbuffer(fields, b"TEST")
    table = Table.root(MemoryBytes(content))
    first = table.table(0)
    assert first is not None
    assert first.text(0) == "ä name"
    assert list(first.numbers(3, "<i4")) == [1, -2, 3]
    listed = table.tables(1)
    assert [one.text(0) for one in listed] == ["ä name", "", ""]
    assert listed[2].tables(1)[0].integer(0) == 7
    stretch = table.stretch(2)
    assert (stretch.read(), stretch.start % 16) == (b"12345", 0)
    assert list(table.numbers(3, "<i8")) == [2**40]
    assert table.tables(4) == []
    assert table.has(5)
    assert content == flatbuffer(fields, b"TEST")


def test_files_beyond_the_maximum_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer_builder, "MAX_SIZE", 100)
    with pytest.raises(UnsupportedError, match="at most 2 GB"):
        flatbuffer({0: Data(bytes(200), 16)}, b"TEST")


@pytest.mark.parametrize(
    "values", [{}, {"one": 1}, {"b": True, "a": -5, "c": 0.25, "a longer name": 2**31 - 1}]
)
def test_maps(values: dict[str, int | float | bool]) -> None:
    assert read_map(write_map(values)) == values
    assert list(read_map(write_map(values))) == sorted(values)  # readers search the names by bisection
