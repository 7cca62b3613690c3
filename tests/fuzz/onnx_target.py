"""Fuzz the reader of ONNX files (`mpscnn.converters.read_network`)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from file_fuzzer import Limits, Target
from google.protobuf.message import DecodeError
from mutation import INTERESTING, mutated

from mpscnn import converters

sys.path.append(str(Path(__file__).parent.parent))
from converters.onnx_files import model, node  # type: ignore[import-not-found]

_FILE = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-")) / "file.onnx"
_KINDS = (
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "ConstantOfShape", "Conv",
    "DequantizeLinear", "Expand", "Flatten", "Gather", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool",
    "Mul", "Pad", "QuantizeLinear", "Range", "Relu", "Reshape", "Resize", "Shape", "Slice", "Softmax",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip


def _seeds() -> list[bytes]:
    random = np.random.default_rng(1)
    image = {"x": ("n", 3, 8, 8)}
    weights = {
        "w": random.standard_normal((4, 3, 3, 3)),
        "b": np.zeros(4),
        "m": random.standard_normal((4, 5)),
        "shape": np.array([0, -1]),
    }
    classifier = [
        node("Conv", ["x", "w", "b"], "c", pads=(1, 1, 1, 1)),
        node("Relu", ["c"], "r"),
        node("MaxPool", ["r"], "p", kernel_shape=(2, 2), strides=(2, 2)),
        node("GlobalAveragePool", ["p"], "g"),
        node("Reshape", ["g", "shape"], "f"),
        node("MatMul", ["f", "m"], "d"),
        node("Softmax", ["d"], "y"),
    ]
    moved = [
        node("Transpose", ["x"], "t", perm=(0, 2, 3, 1)),
        node("Mul", ["t", "s"], "u"),
        node("Transpose", ["u"], "v", perm=(0, 3, 1, 2)),
        node("Add", ["v", "x"], "y"),
    ]
    pairs = [
        [
            node("QuantizeLinear", [source, "s", "z"], f"{source}q"),
            node("DequantizeLinear", [f"{source}q", "s", "z"], to),
        ]
        for source, to in (("x", "i"), ("c", "e"), ("p", "y"))
    ]
    quantized = [
        *pairs[0],
        node("DequantizeLinear", ["w", "ws", "wz"], "k", axis=0),
        node("DequantizeLinear", ["b", "bs"], "o", axis=0),
        node("Conv", ["i", "k", "o"], "c"),
        *pairs[1],
        node("MaxPool", ["e"], "p", kernel_shape=(2, 2)),
        *pairs[2],
    ]
    integers = {
        "w": random.integers(-127, 128, (4, 3, 1, 1)).astype(np.int8),
        "b": np.array([1, -2, 3, -4], np.int32),
        "s": np.float32(0.5),
        "z": np.int8(3),
        "ws": np.full(4, 0.25, np.float32),
        "wz": np.zeros(4, np.int8),
        "bs": np.full(4, 0.125, np.float32),
    }
    return [
        model(quantized, image, integers).SerializeToString(),
        model(classifier, image, weights).SerializeToString(),
        model(moved, image, {"s": np.ones(3)}).SerializeToString(),
    ]


def _structure(data: bytes, random: Random) -> bytes:
    """Change or multiply nodes, constants, numbers, inputs and outputs of a file."""
    try:
        changed = onnx.load_model_from_string(data)
    except (DecodeError, ValueError):
        return data
    graph = changed.graph
    for _ in range(random.choice((1, 1, 2, 4))):
        change = random.choice((_chain, _operand, _kind, _number, _extent, _many_ends))
        change(graph, random)
    return bytes(changed.SerializeToString())


def _names(graph: Any) -> list[str]:
    made = [name for one in graph.node for name in one.output]
    return [*(one.name for one in graph.input), *(one.name for one in graph.initializer), *made] or ["x"]


def _chain(graph: Any, random: Random) -> None:
    """Add a chain of nodes that share an operand."""
    names, last = _names(graph), random.choice(_names(graph))
    shared, kind = random.choice(names), random.choice(_KINDS)
    start = len(graph.node)
    for i in range(start, start + random.choice((1, 30, 1_000))):
        graph.node.append(onnx.helper.make_node(kind, [last, shared][: random.choice((1, 2))], [f"n{i}"]))
        last = f"n{i}"
    graph.output[0].name = last


def _operand(graph: Any, random: Random) -> None:
    if graph.node:
        one = random.choice(graph.node)
        if one.input:
            one.input[random.randrange(len(one.input))] = random.choice(_names(graph))


def _kind(graph: Any, random: Random) -> None:
    if graph.node:
        random.choice(graph.node).op_type = random.choice((*_KINDS, "Unknown"))


def _number(graph: Any, random: Random) -> None:
    """Change a number in an attribute."""
    entries = [entry for one in graph.node for entry in one.attribute]
    if entries:
        entry = random.choice(entries)
        if entry.ints:
            entry.ints[random.randrange(len(entry.ints))] = random.choice((-1, *INTERESTING))
        else:
            entry.i = random.choice((-1, *INTERESTING))


def _extent(graph: Any, random: Random) -> None:
    """Change an extent of a constant, without its elements."""
    if graph.initializer:
        tensor = random.choice(graph.initializer)
        if tensor.dims:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(INTERESTING)


def _many_ends(graph: Any, random: Random) -> None:
    ends = graph.input if random.random() < 0.5 else graph.output
    for i in range(random.choice((1, 100, 2_000))):
        ends.append(onnx.helper.make_tensor_value_info(random.choice((f"e{i}", "x", "y")), 1, (1, 3, 8, 8)))


def _mutate(data: bytes, random: Random) -> bytes:
    return mutated(data, random) if random.random() < 0.2 else _structure(data, random)


def _read(data: bytes) -> None:
    _FILE.write_bytes(data)
    converters.read_network([_FILE], size=(8, 8) if len(data) % 3 == 0 else None)


# A node of some 20 bytes becomes a layer. Nodes may share weights of up to 256 MiB, or become weights of this size
# that move elements.
TARGET = Target(
    _seeds,
    _read,
    _mutate,
    limits=Limits(seconds=5.0, seconds_per_byte=100e-6, memory=700 << 20, memory_per_byte=4_000),
)
