"""Fuzz the reader of TensorFlow's files: SavedModels with variables, frozen graphs, and models of TensorFlow.js."""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from file_fuzzer import Limits, Target
from message_values import other_values
from mutation import mutated

from mpscnn import converters
from mpscnn.converters.reading.tensorflow.operators import ROWS

sys.path.append(str(Path(__file__).parent.parent))
from converters.protobuf_messages import tensorflow_message
from converters.tensorflow_writer import Graph, save_model, save_web_graph  # type: ignore[import-not-found]

_FOLDER = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-"))
_SAVED = tuple(
    _FOLDER / "model" / name
    for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")
)
_FROZEN = (_FOLDER / "graph.pb",)
_WEB = (_FOLDER / "model.json", _FOLDER / "group1-shard0.bin")
_KINDS = {b"s": _SAVED, b"f": _FROZEN, b"w": _WEB}
_TEXTS = ("", "image", "kernel", "result", "^image", "Switch", "Merge", "Const", "VALID", "NCHW", *ROWS)


def _graph(kernel: str | None) -> Graph:
    graph = Graph()
    image = graph.placeholder(-1, 6, 8, 3)
    filters = np.ones((3, 3, 3, 4), np.float32)
    weights = graph.node("ReadVariableOp", kernel) if kernel else graph.constant(filters)
    blocks = graph.node("SpaceToBatchND", image, graph.constant([2, 2]), graph.constant([[2, 2], [2, 2]]))
    made = graph.node("Conv2D", blocks, weights, strides=[1, 1, 1, 1], padding="VALID")
    made = graph.node("BatchToSpaceND", made, graph.constant([2, 2]), graph.constant([[0, 0], [0, 0]]))
    shape = graph.node("Shape", made)
    one, two = graph.constant([0]), graph.constant([1])
    batch = graph.node("StridedSlice", shape, one, two, two, shrink_axis_mask=1)
    rows = graph.node("Reshape", made, graph.node("Pack", batch, graph.constant(-1), axis=0))
    switch = graph.node("Switch", rows, graph.constant(np.asarray(False)))
    parts = graph.node("Split", graph.constant(1), graph.node("Relu", switch), num_split=2)
    both = graph.node("ConcatV2", parts, f"{parts}:1", graph.constant(1))
    graph.node("Merge", both, graph.node("Neg", f"{switch}:1"), name="result")
    return graph


def _seeds() -> list[bytes]:
    graph = _graph("kernel")
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    kernel = {"kernel": np.ones((3, 3, 3, 4), np.float32)}
    save_model(_FOLDER / "model", graph, {"image": "image"}, {"result": "result"}, kernel)
    _graph(None).save(_FROZEN[0])
    save_web_graph(_WEB[0], _graph(None))
    return [_joined(kind, [path.read_bytes() for path in paths]) for kind, paths in _KINDS.items()]


def _joined(kind: bytes, parts: Sequence[bytes]) -> bytes:
    return kind + b"".join(struct.pack("<I", len(part)) + part for part in parts)


def _parts(data: bytes) -> tuple[bytes, list[bytes]]:
    kind = data[:1] if data[:1] in _KINDS else b"f"
    parts, position = [], 1
    for _ in _KINDS[kind]:
        length = struct.unpack("<I", data[position : position + 4].ljust(4, b"\0"))[0]
        parts.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return kind, parts


def _mutate(data: bytes, random: Random) -> bytes:
    kind, parts = _parts(data)
    place = random.randrange(len(parts)) if random.random() < 0.4 else 0
    changed = None
    if place == 0 and kind != b"w" and random.random() < 0.8:
        name = "SavedModel" if kind == b"s" else "Graph"
        changed = other_values(tensorflow_message(name), parts[0], random, _TEXTS)
    parts[place] = changed or mutated(parts[place], random, tokens=tuple(text.encode() for text in _TEXTS))
    return _joined(kind, parts)


def _read(data: bytes) -> None:
    kind, parts = _parts(data)
    for path, part in zip(_KINDS[kind], parts, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part)
    converters.read_network([_FOLDER / "model" if kind == b"s" else _KINDS[kind][0]])


# An operator of some 40 bytes becomes several ONNX nodes and layers of a network.
TARGET = Target(_seeds, _read, _mutate, limits=Limits(seconds_per_byte=200e-6, memory_per_byte=2_000))
