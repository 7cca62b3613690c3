"""Files of all formats are read without the packages onnx and protobuf."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from converters import coreml_writer
from converters.onnx_files import node, nodes_of, onnx
from converters.part_writers import CHANNELS, FORMATS

from mpscnn import converters

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("onnx", "google", "ml_dtypes"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
from mpscnn import converters

converters.read_network(sys.argv[2:]).save(sys.argv[1])
"""


def assert_needs_no_package(files: list[Path], folder: Path) -> None:
    """Read files in a process without the packages, and compare the network with the one that is read here."""
    here, there = folder / "here.safetensors", folder / "there.safetensors"
    converters.read_network(files).save(here)
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(there), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert here.read_bytes() == there.read_bytes()


def layers() -> onnx.ModelProto:
    """Return a model with a function, folded constants, weights of several types and an attribute of each type."""
    generator = np.random.default_rng(0)
    constants = {
        "w": generator.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "half": generator.normal(size=(1, 4, 1, 1)).astype(np.float16),
        "zero": np.zeros(1, np.int64),
    }
    nodes = [
        node("Conv", ["x", "w"], "a", pads=[1] * 4, auto_pad="NOTSET"),
        *nodes_of("whole = Cast<to=1>(half); squared = Mul(whole, whole); b = Add(a, squared)"),
        node("Twice", ["b"], "c", domain="own", slope=0.25),
        *nodes_of("shape = Shape(c); batch = Gather(shape, zero)"),
        node("Constant", [], "rest", value=onnx.numpy_helper.from_array(np.array([-1], np.int64))),
        *nodes_of("flat = Concat<axis=0>(batch, rest); y = Reshape(c, flat)"),
    ]
    body = [node("LeakyRelu", ["p"], "q"), node("Add", ["q", "q"], "r")]
    body[0].attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    opset, own = onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)
    function = onnx.helper.make_function("own", "Twice", ["p"], ["r"], body, [opset], ["slope"])
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 6, 6])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", None])],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[opset, own], functions=[function])


@pytest.mark.parametrize("external", [False, True])
def test_onnx_files_are_read_without_the_package_onnx(external: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(layers(), path, save_as_external_data=external, size_threshold=0)
    assert_needs_no_package([path], tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_other_formats_are_read_without_packages(name: str, tmp_path: Path) -> None:
    writer = FORMATS[name][0]()
    weights = np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS)).astype(np.float32)
    x = writer.convolution("image", weights, "first")
    x = writer.with_number("multiply", writer.apply("add", x, writer.apply("sigmoid", x)), 0.5)
    writer.read(tmp_path, writer.convolution(x, weights, "last"))
    assert_needs_no_package(sorted(tmp_path.iterdir()), tmp_path)


def test_neural_networks_of_core_ml_are_read_without_packages(tmp_path: Path) -> None:
    made = coreml_writer.one_layer("softmaxND", coreml_writer.settings(axis=-1), [(1, 5)])
    assert_needs_no_package([coreml_writer.saved(made, tmp_path / "net.mlmodel")], tmp_path)
