"""Readers keep positions beyond 2048 in float32 in float16 networks, or the network is refused in float16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml_writer import Program
from converters.onnx_files import model, node, nodes_of, onnx
from converters.tflite_writer import CODES, Operator, Tensor, write_tflite

from mpscnn import Network, converters
from mpscnn.errors import UnsupportedError

COUNT = 5000
NUMBERS = (np.arange(COUNT, dtype=np.float32) / 8192).reshape(1, COUNT)
PARTS = np.array([[0.001, 0.25, 0.75, 0.9990234375]], np.float16).astype(np.float32)
PLACES = np.floor(PARTS * np.float32(COUNT)).astype(int)


def _onnx(nodes: list[Any], inputs: dict[str, Any], folder: Path, constants: Any = None, **more: Any) -> Path:
    path = folder / "one.onnx"
    onnx.save(model(nodes, inputs, constants, **more), path)
    return path


def onnx_elements(folder: Path) -> Path:
    nodes = nodes_of("scaled = Mul(p, k); whole = Cast<to=7>(scaled); y = GatherElements<axis=1>(x, whole)")
    return _onnx(nodes, {"x": [1, COUNT], "p": [1, 4]}, folder, {"k": np.float32(COUNT)})


def onnx_slices(folder: Path) -> Path:
    nodes = nodes_of("""
        scaled = Mul(p, k); low = Floor(scaled); whole = Cast<to=7>(low); taken = Gather<axis=1>(x, whole)
        y = Reshape(taken, s)
    """)
    constants = {"k": np.float32(COUNT), "s": np.array([1, 4])}
    return _onnx(nodes, {"x": [1, COUNT], "p": [1, 4]}, folder, constants)


def coreml_elements(folder: Path) -> Path:
    program = Program({"x": (1, COUNT), "p": (1, 4)})
    program.add("mul", "scaled", x="%p", y=np.float32(COUNT))
    program.add("cast", "whole", x="%scaled", dtype="int32")
    program.add("gather_along_axis", x="%x", indices="%whole", axis=1)
    return program.saved(folder / "one.mlpackage")


def halves(network: Network, inputs: list[Any]) -> Any:
    return network.compile(device="cpu", precision="float16").session().run(inputs)


@pytest.mark.parametrize("write", [onnx_elements, onnx_slices, coreml_elements], ids=lambda one: one.__name__)
def test_computed_positions_stay_exact(write: Callable[[Path], Path], tmp_path: Path) -> None:
    found = halves(converters.read_network([write(tmp_path)]), [NUMBERS, PARTS])
    np.testing.assert_allclose(found.reshape(1, 4), NUMBERS[0, PLACES], rtol=2.0**-11)
    assert len(np.unique(found)) == 4


def test_samples_of_an_image(tmp_path: Path) -> None:
    """The positions of pixels are counted over the whole image."""
    path = _onnx(
        [node("GridSample", ["x", "grid"], mode="linear", align_corners=1)],
        {"x": [1, 1, 70, 80], "grid": [1, 70, 80, 2]},
        tmp_path,
        opset=20,
    )
    x = np.random.default_rng(3).uniform(0.5, 1.0, (1, 70, 80, 1)).astype(np.float32)
    across, down = np.meshgrid(np.linspace(-1, 1, 80), np.linspace(-1, 1, 70))
    grid = np.stack([across, down], -1)[None].astype(np.float32)
    found = halves(converters.read_network([path]), [x, grid.transpose(0, 2, 3, 1)])
    # A coordinate near 1 is rounded by up to 2^-12. This is 0.01 pixels, because 1 is 40 pixels from the middle.
    np.testing.assert_allclose(found, x, atol=0.01)


def tflite_words(folder: Path) -> Path:
    path = folder / "one.tflite"
    tensors = [Tensor("x", (COUNT, 1)), Tensor("places", (4,), "int32"), Tensor("y", (4, 1))]
    path.write_bytes(write_tflite(tensors, [Operator(CODES["GATHER"], [0, 1], [2])], [0, 1], [2]))
    return path


def onnx_words(folder: Path) -> Path:
    table = np.ones((COUNT, 2), np.float32)
    nodes = [node("Gather", ["table", "places"], axis=0)]
    return _onnx(nodes, {"places": [1, 4]}, folder, {"table": table}, types={"places": 7})


def onnx_input(folder: Path) -> Path:
    nodes = [node("GatherElements", ["x", "places"], axis=1)]
    return _onnx(nodes, {"x": [1, COUNT], "places": [1, 4]}, folder, types={"places": 7})


def coreml_words(folder: Path) -> Path:
    program = Program({"places": (1, 4)}, whole=["places"])
    program.add("gather", x=np.ones((COUNT, 2), np.float32), indices="%places", axis=0)
    return program.saved(folder / "one.mlpackage")


def coreml_input(folder: Path) -> Path:
    program = Program({"x": (1, COUNT), "places": (1, 4)}, whole=["places"])
    program.add("gather_along_axis", x="%x", indices="%places", axis=1)
    return program.saved(folder / "one.mlpackage")


def one_hot(folder: Path) -> Path:
    program = Program({"places": (1, 4)}, whole=["places"])
    program.add("one_hot", indices="%places", one_hot_vector_size=COUNT)
    return program.saved(folder / "one.mlpackage")


@pytest.mark.parametrize(
    "write",
    [onnx_words, onnx_input, coreml_words, coreml_input, one_hot, tflite_words],
    ids=lambda one: one.__name__,
)
def test_positions_of_inputs_are_refused(write: Callable[[Path], Path], tmp_path: Path) -> None:
    network = converters.read_network([write(tmp_path)])
    with pytest.raises(
        UnsupportedError, match=r"holds positions|looks for whole numbers that float16 rounds"
    ):
        network.compile(device="cpu", precision="float16")
    network.compile(device="cpu", precision="float32")
