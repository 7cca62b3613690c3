"""Time and memory that reading an ONNX file takes are in proportion to its size, however its parts are shared."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node, read

import mpscnn
import mpscnn.converters

onnx = pytest.importorskip("onnx", reason="needs onnx")

IMAGE = {"x": (1, 4, 4, 4)}
SECONDS = 5.0


def chain(count: int, kind: str, *others: str, **attributes: Any) -> list[Any]:
    """Nodes one behind the other, of which the last one computes "y"."""
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    return [node(kind, [names[i], *others], names[i + 1], **attributes) for i in range(count)]


def read_within(given: Any) -> mpscnn.Network | mpscnn.Error:
    begun = time.process_time()
    try:
        return read(given)
    except mpscnn.Error as error:
        return error
    finally:
        assert time.process_time() - begun < SECONDS


def test_layers_behind_one_that_cannot_be_read() -> None:
    nodes = [node("Foo", ["x"], "t"), node("Relu", ["t"], "x2")]
    nodes += [node("Relu", [f"x{i}"], f"x{i + 1}") for i in range(2, 5_000)]
    made = model(nodes, IMAGE, outputs=["x5000"])
    stated = [
        onnx.helper.make_tensor_value_info(name, 1, (1, 4, 4, 4))
        for name in ("t", *(f"x{i}" for i in range(2, 5_000)))
    ]
    made.graph.value_info.extend(stated)
    assert "(Foo)" in str(read_within(made))


def test_many_inputs() -> None:
    made = model(chain(4_000, "Relu"), {f"i{i}": (1, 4, 4, 4) for i in range(20_000)} | IMAGE)
    assert "at most 1000 inputs" in str(read_within(made))


def test_many_outputs() -> None:
    """Each with a long way back to a transposition that may be the last thing done with it."""
    names = [f"t{i}" for i in range(5_999)] + ["y"]
    network = read_within(model(chain(6_000, "Relu"), IMAGE, outputs=names))
    assert isinstance(network, mpscnn.Network)
    assert len(network.outputs) == 6_000


def test_layers_that_share_their_weights() -> None:
    shared = {"w": np.ones((256, 256, 1, 1))}
    image = {"x": (1, 256, 4, 4)}
    assert isinstance(read_within(model(chain(20, "Conv", "w"), image, shared)), mpscnn.Network)
    error = read_within(model(chain(3_000, "Conv", "w"), image, shared))
    assert isinstance(error, mpscnn.WeightsError)
    assert "times the file's" in str(error)


def test_moved_elements_count() -> None:
    """Before each convolution of images of free height a matrix of 4 MB brings channels where the width was."""
    names = ["x", *(f"c{i}" for i in range(199)), "y"]
    nodes = []
    for i in range(200):
        nodes.append(node("Transpose", [names[i]], f"r{i}", perm=(0, 3, 2, 1)))
        nodes.append(node("Conv", [f"r{i}", "w"], names[i + 1]))
    error = read_within(model(nodes, {"x": (1, 32, "height", 32)}, {"w": np.ones((32, 32, 1, 1))}))
    assert isinstance(error, mpscnn.Error)
    assert "times the file's" in str(error)


def test_more_scales_than_elements_along_their_axis() -> None:
    count = 100_000
    constants = {
        "c": np.zeros((1, 1, 1, count), np.uint8),
        "s": np.ones(count),
        "z": np.zeros(count, np.uint8),
    }
    nodes = [node("DequantizeLinear", ["c", "s", "z"], "d", axis=0), node("Mul", ["x", "d"])]
    error = read_within(model(nodes, {"x": (1, 4, 4, count)}, constants))
    assert "100000 scales for axis 0 of (1, 1, 1, 100000)" in str(error)


def test_weights_are_copied_once(tmp_path: Path) -> None:
    """The file's content, or one layer at a time beside the parsed file: not an array of each weight as well."""
    generator = np.random.default_rng(0)
    weights = {f"w{i}": generator.normal(size=(64, 64, 3, 3)).astype(np.float32) for i in range(20)}
    names = ["x", *(f"t{i}" for i in range(19)), "y"]
    nodes = [
        node("Conv", [names[i], f"w{i}"], names[i + 1], kernel_shape=[3, 3], pads=[1] * 4) for i in range(20)
    ]
    path = tmp_path / "deep.onnx"
    onnx.save(model(nodes, {"x": (1, 64, 4, 4)}, constants=weights), path)
    mpscnn.converters.read_network([path])
    tracemalloc.start()
    try:
        mpscnn.converters.read_network([path])
        assert tracemalloc.get_traced_memory()[1] < 1.06 * path.stat().st_size
    finally:
        tracemalloc.stop()
