"""Files that onnxruntime reads are not called damaged here: they are read, or refused as not supported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import Array, assert_like_onnxruntime, model, node, nodes_of, onnx, read, run_there

import mpscnn
from mpscnn.converters import read_network
from mpscnn.errors import Error, UnsupportedError

IMAGE = {"x": [1, 6, 4, 4]}
SIX = np.linspace(0.5, 2.0, 6)


def normalization(epsilon: float, variance: Array) -> Any:
    constants = {"scale": SIX, "offset": -SIX, "mean": SIX / 2, "variance": variance}
    return model([node("BatchNormalization", ["x", *constants], epsilon=epsilon)], IMAGE, constants)


def test_an_epsilon_of_0_with_a_variance_of_0() -> None:
    with pytest.raises(UnsupportedError, match="it divides by 0"):
        read(normalization(0.0, SIX * 0))


@pytest.mark.parametrize("magnitude", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(
    ("kind", "settings", "scales"),
    [
        ("LayerNormalization", {"axis": -1}, 4),
        ("InstanceNormalization", {}, 6),
        ("GroupNormalization", {"num_groups": 2}, 6),
    ],
)
def test_an_epsilon_of_0_in_other_norms(
    kind: str, settings: dict[str, int], scales: int, magnitude: float
) -> None:
    constants = {"scale": np.linspace(0.5, 2.0, scales), "offset": np.linspace(-1.0, 1.0, scales)}
    made = model([node(kind, ["x", *constants], epsilon=0.0, **settings)], IMAGE, constants, opset=21)
    x = magnitude * np.random.default_rng(0).normal(0.0, 1.0, (1, 6, 4, 4)).astype(np.float32)
    (expected,) = run_there(made, {"x": x})
    found = read(made).compile(device="cpu", precision="float32").session().run(x.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(np.asarray(found).transpose(0, 3, 1, 2), expected, rtol=1e-4, atol=1e-4)


CASES: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any]]] = {
    "a Celu below zero": ([node("Celu", ["x"], alpha=-1.0)], IMAGE, {}),
    "a Squeeze of the batch": ([node("Squeeze", ["x", "i"])], {"x": ["n", 6, 4, 4]}, {"i": np.array([0])}),
    "a Gather of nothing": ([node("Gather", ["x", "i"], axis=1)], IMAGE, {"i": np.zeros(0, np.int64)}),
    "an infinite limit": ([node("Max", ["x", "k"])], IMAGE, {"k": np.float32(np.inf)}),
    "constants that normalise themselves": (
        nodes_of("b, m, v = BatchNormalization<training_mode=1>(c, s, s, s, s); y = Add(x, b)"),
        IMAGE,
        {"c": np.ones((1, 6, 4, 4)), "s": SIX},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_onnxruntime_reads_is_at_max_not_supported(name: str) -> None:
    nodes, inputs, constants = CASES[name]
    made = model(nodes, inputs, constants)
    run_there(made, {"x": np.ones((1, 6, 4, 4), np.float32)})
    with pytest.raises(UnsupportedError) as refused:
        read(made)
    assert "damaged" not in str(refused.value)


@pytest.mark.parametrize("lists_its_weights", [False, True], ids=["no inputs", "only weights"])
def test_graphs_of_constants_alone(lists_its_weights: bool) -> None:
    made = model([node("Relu", ["c"])], {}, {"c": np.ones((1, 6, 4, 4), np.float32)})
    if lists_its_weights:
        made.graph.input.append(onnx.helper.make_tensor_value_info("c", 1, IMAGE["x"]))
    np.testing.assert_array_equal(run_there(made, {})[0], np.ones((1, 6, 4, 4)))
    with pytest.raises(UnsupportedError, match="has no inputs"):
        read(made)


def test_tensors_that_share_places_of_another_file(tmp_path: Path) -> None:
    """Tied weights may share bytes of the other file. The number of copies of such bytes is limited."""
    weights = {f"w{place}": np.ones((4, 4), np.float32) for place in range(6)}
    names = ["x", *(f"t{place}" for place in range(5)), "y"]
    nodes = [node("MatMul", [names[place], f"w{place}"], names[place + 1]) for place in range(6)]
    made = model(nodes, {"x": [1, 4]}, weights)
    (tmp_path / "w.bin").write_bytes(weights["w0"].tobytes())
    for tensor in made.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnsupportedError, match="not supported") as refused:
        read_network([path])
    assert "damaged" not in str(refused.value)


@pytest.mark.skipif(
    not hasattr(os, "SEEK_DATA"), reason="this system does not tell where the holes of a file are"
)
def test_external_data_of_holes(tmp_path: Path) -> None:
    """A file of weights that is nearly all holes is refused before `load` hashes it for the cache."""
    made = model([node("MatMul", ["x", "w"], "y")], {"x": [1, 4]}, {"w": np.ones((4, 4), np.float32)})
    (tensor,) = made.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    tensor.external_data.add(key="length", value="64")
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(3 << 30)
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) != 0:
            pytest.skip("this file system has no holes")
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(Error, match="the rest is a hole"):
        mpscnn.load(path)


@pytest.mark.parametrize(
    ("given", "keepdims"), [(None, 0), (None, 1), (np.int64(2), 1), (np.array([1, 2], np.int64), 1)], ids=str
)
def test_sequences_of_parts_of_a_constant(given: Array | None, keepdims: int) -> None:
    """Without constant folding, exporters write sequences for modules that split a parameter, such as attention."""
    constants: dict[str, Any] = {"w": np.linspace(-1.0, 1.0, 3 * 6).reshape(3, 6, 1, 1), "p": np.int64(-1)}
    if given is not None:
        constants["n"] = given
    nodes = [
        node("SplitToSequence", ["w", *(["n"] if given is not None else [])], "s", axis=0, keepdims=keepdims),
        node("SequenceAt", ["s", "p"], "last"),
        node("ReduceSum", ["last", "axes"], "scale", keepdims=0)
        if keepdims
        else node("Identity", ["last"], "scale"),
        node("Mul", ["x", "scale"]),
    ]
    constants["axes"] = np.array([0], np.int64)
    assert_like_onnxruntime(model(nodes, IMAGE, constants))
