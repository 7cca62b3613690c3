"""Files of many small messages are refused or read with little work, because in memory parts are far larger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import little_work

from mpscnn.converters import read_network
from mpscnn.converters.opening import varints
from mpscnn.converters.opening.file_bytes import MemoryBytes
from mpscnn.converters.opening.wire import message
from mpscnn.converters.opening.wire.kinds import Kind
from mpscnn.converters.opening.wire.message import open_message
from mpscnn.converters.reading.caffe.schema import WEIGHTS_KIND
from mpscnn.converters.reading.coreml.schema import MODEL_KIND
from mpscnn.converters.reading.onnx.schema import KINDS as ONNX
from mpscnn.converters.reading.tensorflow.schema import KINDS as TENSORFLOW
from mpscnn.errors import Error, UnsupportedError

MANY = 1 << 16
"""The number of messages of the files in these tests."""

FORMATS: dict[str, tuple[Kind, int]] = {
    "model.onnx": (ONNX["Model"], 4),
    "model.mlmodel": (MODEL_KIND, 3),
    "model.caffemodel": (WEIGHTS_KIND, 2),
    "graph.pb": (TENSORFLOW["Graph"], 4),
    "saved_model.pb": (TENSORFLOW["SavedModel"], 4),
}
"""For each file: the kind of its message, and the depth of the messages that are tried."""


def field(number: int, content: bytes) -> bytes:
    return varints.encode(number << 3 | 2) + varints.encode(len(content)) + content


def ways_to_messages(kind: Kind, depth: int, before: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the field numbers on the way to each kind of inner message."""
    for inner in kind.fields.values():
        if inner.inner is None or depth == 0:
            continue
        way = (*before, inner.number)
        yield way
        yield from ways_to_messages(inner.inner, depth - 1, way)


def written(folder: Path, name: str, way: tuple[int, ...], count: int) -> list[Path]:
    """Write a file whose message has many empty inner messages at the end of the way."""
    content = field(way[-1], b"") * count
    for number in reversed(way[:-1]):
        content = field(number, content)
    path = folder / name
    path.write_bytes(content)
    if path.suffix != ".caffemodel":
        return [path]
    text = path.with_suffix(".prototxt")
    text.write_text('layer { name: "r" type: "ReLU" bottom: "x" top: "r" }')
    return [text, path]


@pytest.mark.parametrize("name", FORMATS)
def test_many_empty_messages_of_each_kind(
    name: str, full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default tier tests every eighth kind of message."""
    monkeypatch.setattr(message, "FREE_MESSAGES", MANY // 16)
    ways = list(ways_to_messages(*FORMATS[name]))
    assert ways
    with little_work():
        for way in ways if full else ways[::8]:
            with pytest.raises(Error) as refused:
                read_network(written(tmp_path, name, way, MANY))
            assert str(tmp_path / name) in str(refused.value)


@pytest.mark.parametrize("kind", [ONNX["Graph"], WEIGHTS_KIND, MODEL_KIND.fields["mlProgram"].inner])
def test_the_number_of_messages_is_limited(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "FREE_MESSAGES", 100)
    listed = next(one for one in kind.fields.values() if one.is_repeated and one.inner is not None)
    many = open_message(kind, MemoryBytes(field(listed.number, b"") * MANY))
    assert many.count(listed.name) == MANY
    with pytest.raises(UnsupportedError, match="small parts"):
        list(getattr(many, listed.name))


PARTS_OF_GRAPHS = {"node": 1, "initializer": 5, "input": 11, "output": 12, "value_info": 13}


@pytest.mark.parametrize("what", PARTS_OF_GRAPHS)
def test_onnx_graphs_of_too_many_parts(tmp_path: Path, what: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(field(8, b"\x10\x0d") + field(7, field(PARTS_OF_GRAPHS[what], b"") * 100_001))
    with pytest.raises(UnsupportedError, match=f"has 100001 parts of the kind {what}"):
        read_network([path])


@pytest.mark.parametrize(("number", "what"), [(1, "inputs"), (10, "outputs")])
def test_core_ml_models_of_too_many_inputs(tmp_path: Path, number: int, what: str) -> None:
    path = tmp_path / "model.mlmodel"
    path.write_bytes(b"\x08\x04" + field(2, field(number, b"") * 1_001) + field(500, b""))
    with pytest.raises(UnsupportedError, match=f"has 1001 {what}"):
        read_network([path])


@pytest.mark.parametrize("layer", ["layer{}", "layer<>"])
def test_caffe_text_of_too_many_messages(tmp_path: Path, layer: str) -> None:
    paths = written(tmp_path, "model.caffemodel", (100,), 1)
    paths[0].write_text(layer * 100_001)
    with pytest.raises(UnsupportedError, match="100001 inner messages"):
        read_network(paths)
