"""Reading an ONNX file takes time and memory in proportion to its size, however its parts are shared."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node, read
from patience import little_work
from tiers import with_full

import mpscnn
import mpscnn.converters
from mpscnn.errors import WeightsError

onnx = pytest.importorskip("onnx", reason="needs onnx")

IMAGE = {"x": (1, 4, 4, 4)}


def chain(count: int, kind: str, *others: str, **attributes: Any) -> list[Any]:
    """Return nodes one after the other, of which the last one computes "y"."""
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    return [node(kind, [names[i], *others], names[i + 1], **attributes) for i in range(count)]


def read_within(given: Any) -> mpscnn.Network | mpscnn.Error:
    with little_work():
        try:
            return read(given)
        except mpscnn.Error as error:
            return error


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
    """For each output, the reader might search a long way back for a transposition."""
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


def test_moved_axes_of_free_sizes_take_no_matrices() -> None:
    """The engine transposes free axes itself, so that only the convolutions' weights are stored."""
    names = ["x", *(f"c{i}" for i in range(199)), "y"]
    nodes = []
    for i in range(200):
        nodes.append(node("Transpose", [names[i]], f"r{i}", perm=(0, 3, 2, 1)))
        nodes.append(node("Conv", [f"r{i}", "w"], names[i + 1]))
    network = read_within(model(nodes, {"x": (1, 32, "height", 32)}, {"w": np.ones((32, 32, 1, 1))}))
    assert isinstance(network, mpscnn.Network)
    assert {layer["operation"] for layer in network.to_dict()["nodes"]} == {"convolution", "transpose"}
    assert sum(weights.size for weights in network.weights.values()) == 200 * 32 * 32


def test_more_scales_than_elements_along_their_axis() -> None:
    count = 100_000
    constants = {
        "c": np.zeros((1, 1, 1, count), np.uint8),
        "s": np.ones(count),
        "z": np.zeros(count, np.uint8),
    }
    nodes = [node("DequantizeLinear", ["c", "s", "z"], "d", axis=0), node("Mul", ["x", "d"])]
    error = read_within(model(nodes, {"x": (1, 4, 4, count)}, constants))
    assert "100000 scales or zero points (100000,) for axis 0 of (1, 1, 1, 100000)" in str(error)


def test_weights_are_read_one_by_one(tmp_path: Path) -> None:
    """Besides the network, which is not counted here, neither the whole file nor its message is in memory."""
    generator = np.random.default_rng(0)
    weights = {f"w{i}": generator.normal(size=(64, 64, 3, 3)).astype(np.float32) for i in range(40)}
    names = ["x", *(f"t{i}" for i in range(39)), "y"]
    nodes = [
        node("Conv", [names[i], f"w{i}"], names[i + 1], kernel_shape=[3, 3], pads=[1] * 4) for i in range(40)
    ]
    path = tmp_path / "deep.onnx"
    onnx.save(model(nodes, {"x": (1, 64, 4, 4)}, constants=weights), path)
    mpscnn.converters.read_network([path])
    tracemalloc.start()
    try:
        mpscnn.converters.read_network([path])
        assert tracemalloc.get_traced_memory()[1] < 0.3 * path.stat().st_size
    finally:
        tracemalloc.stop()


def test_large_tensors_wherever_a_file_has_them(tmp_path: Path) -> None:
    """Large tensors may be raw_data or float_data, of the graph or of a Constant node."""
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(size=(64, 64, 3, 3)).astype(np.float32) for name in "abc"}
    nodes = [
        node("Constant", [], "c", value=onnx.numpy_helper.from_array(weights["c"])),
        node("Conv", ["x", "a"], "t", pads=[1] * 4),
        node("Conv", ["t", "b"], "u", pads=[1] * 4),
        node("Conv", ["u", "c"], "y", pads=[1] * 4),
    ]
    made = model(nodes, {"x": (1, 64, 4, 4)}, constants={name: weights[name] for name in "ab"})
    (second,) = (tensor for tensor in made.graph.initializer if tensor.name == "b")
    second.ClearField("raw_data")
    second.float_data.extend(weights["b"].reshape(-1).tolist())
    path = tmp_path / "large.onnx"
    onnx.save(made, path)
    found = sorted(array.tobytes() for array in mpscnn.converters.read_network([path]).weights.values())
    assert found == sorted(array.transpose(0, 2, 3, 1).tobytes() for array in weights.values())


def test_a_tensor_that_names_no_file_may_not_choose_its_place(tmp_path: Path) -> None:
    made = model([node("Conv", ["x", "w"])], {"x": (1, 3, 6, 6)}, {"w": np.ones((4, 3, 3, 3), np.float32)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"offset": "0", "length": "432"}.items():
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "own.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(WeightsError, match="is in ''"):
        mpscnn.converters.read_network([path])


@pytest.mark.parametrize("length", [b"\xff" * 9 + b"\x7f", b"\xff\xff\xff\x07", b"\x80" * 12])
def test_lengths_that_the_file_does_not_have(tmp_path: Path, length: bytes) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(b"\x08\x07\x3a" + length + b"\0" * 5000)
    with pytest.raises(WeightsError, match="is not an ONNX file"):
        mpscnn.converters.read_network([path])


@pytest.mark.parametrize("fields", with_full([100_000], [500_000, 3_000_000]))
def test_of_a_file_of_very_many_fields_the_first_are_looked_at(tmp_path: Path, fields: int) -> None:
    made = model([node("Conv", ["x", "w"])], {"x": (1, 64, 6, 6)}, {"w": np.ones((64, 64, 3, 3), np.float32)})
    path = tmp_path / "fields.onnx"
    path.write_bytes(b"\x08\x07" * fields + made.SerializeToString())
    tracemalloc.start()
    try:
        with little_work():
            network = mpscnn.converters.read_network([path])
        assert tracemalloc.get_traced_memory()[1] < 4 * path.stat().st_size
    finally:
        tracemalloc.stop()
    assert [array.sum() for array in network.weights.values()] == [64 * 64 * 9]
