"""Protocol buffers of many small parts are refused before parsing, because in memory parts are far larger."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import little_work

from mpscnn.converters import message_memory, read_network, varints
from mpscnn.errors import UnsupportedError

pytest.importorskip("google.protobuf", reason="needs protobuf")

FREE = 1 << 16
"""The memory in bytes that each file may take in these tests, so low that small files suffice."""


def onnx() -> Any:
    return pytest.importorskip("onnx", reason="needs onnx").ModelProto


def coreml() -> Any:
    return importlib.import_module("mpscnn.converters.coreml.schema").model_message()


def caffe() -> Any:
    return importlib.import_module("mpscnn.converters.caffe.schema").weights_message()


def graph() -> Any:
    return importlib.import_module("mpscnn.converters.tensorflow.schema").message("Graph")


def saved_model() -> Any:
    return importlib.import_module("mpscnn.converters.tensorflow.schema").message("SavedModel")


FORMATS: dict[str, tuple[Callable[[], Any], int]] = {
    "model.onnx": (onnx, 4),
    "model.mlmodel": (coreml, 3),
    "model.caffemodel": (caffe, 2),
    "graph.pb": (graph, 4),
    "saved_model.pb": (saved_model, 4),
}
"""For each file: the kind of its message, and the depth of the messages that are tried."""


def field(number: int, content: bytes) -> bytes:
    return varints.encode(number << 3 | 2) + varints.encode(len(content)) + content


def ways_to_messages(descriptor: Any, depth: int, before: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the field numbers on the way to each kind of inner message that is far larger in memory."""
    for inner in descriptor.fields:
        if inner.message_type is None or depth == 0:
            continue
        way = (*before, inner.number)
        if 32 + 8 * len(inner.message_type.fields) > 16 * len(field(inner.number, b"")):
            yield way
        yield from ways_to_messages(inner.message_type, depth - 1, way)


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
    monkeypatch.setattr(message_memory, "MEMORY_FREE", FREE)
    kind, depth = FORMATS[name]
    ways = list(ways_to_messages(kind().DESCRIPTOR, depth))
    assert ways
    with little_work():
        for way in ways if full else ways[::8]:
            with pytest.raises(UnsupportedError, match="small parts") as refused:
                read_network(written(tmp_path, name, way, FREE // 4))
            assert str(tmp_path / name) in str(refused.value)


def test_damaged_messages_are_left_to_the_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting ends where a message ends, and never fails."""
    monkeypatch.setattr(message_memory, "MEMORY_FREE", FREE)
    nested = b""
    for _ in range(3_000):
        nested = field(7, nested)
    for content in (
        b"\xff" * FREE,
        b"\x0a\xff" * FREE,
        b"\x0b" * FREE,
        field(7, b"\x0a\xff\xff\xff\x0f" * FREE),
        field(7, field(1, b"\x0d")) * FREE,
        nested + b"\0" * FREE,
    ):
        message_memory.check_memory(onnx().DESCRIPTOR, content, 1 << 40)


PARTS_OF_GRAPHS = {"node": 1, "initializer": 5, "input": 11, "output": 12, "value_info": 13}


@pytest.mark.parametrize("what", PARTS_OF_GRAPHS)
def test_onnx_graphs_of_too_many_parts(tmp_path: Path, what: str) -> None:
    onnx()
    path = tmp_path / "model.onnx"
    path.write_bytes(field(8, b"\x10\x0d") + field(7, field(PARTS_OF_GRAPHS[what], b"") * 100_001))
    with pytest.raises(UnsupportedError, match=f"has 100001 parts of the kind {what}"):
        read_network([path])


@pytest.mark.parametrize(("number", "what"), [(1, "inputs"), (10, "outputs")])
def test_core_ml_models_of_too_many_inputs(tmp_path: Path, number: int, what: str) -> None:
    coreml()
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
