"""Test model files: written files can be read, golden files of version 1 keep their meaning, and damage is refused."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import _core
from mpscnn.graph.model_file import Tensor, quantize, write_tensors

GOLDEN = Path(__file__).parent / "golden"


def tiny() -> mpscnn.Network:
    network = mpscnn.Network(input=(8, 8, 3), name="tiny")
    x = network.conv2d(network.input, 6, 3, padding="same", activation="relu6", name="conv")
    x = network.batch_norm(x, name="norm")
    x = network.depthwise_conv2d(x, 3, strides=2, activation="prelu", name="depthwise")
    network.output(
        network.softmax(network.dense(network.global_average_pool2d(x), 4, name="fc"), name="softmax")
    )
    network.initialize_weights(3)
    return network


def run(network: mpscnn.Network) -> Any:
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    return network.compile(device="cpu", precision="float32").session().run(x)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0.0), ("float16", 1e-3), ("uint8", 2e-2)])
def test_what_is_saved_is_loaded(tmp_path: Path, dtype: str, tolerance: float) -> None:
    labels = ["Katze", "犬", "", "d"]
    path = tmp_path / "tiny.safetensors"
    tiny().save(
        path, dtype=dtype, labels=labels, preprocess="tensorflow", information={"license": "Apache-2.0"}
    )
    model = mpscnn.load(path, device="cpu", precision="float32")
    assert model.labels == labels
    assert model.name == "tiny"
    assert model.information == {"license": "Apache-2.0"}
    assert model.preprocess is not None
    assert model.network.to_dict() == tiny().to_dict()
    np.testing.assert_allclose(run(model.network), run(tiny()), atol=tolerance, rtol=0)
    model.network.save(path, dtype=dtype, labels=labels)  # saving again loses nothing more
    np.testing.assert_array_equal(run(mpscnn.load(path).network), run(model.network))
    assert list(tmp_path.iterdir()) == [path]


def test_quantisation_is_exact_to_half_a_step() -> None:
    values = np.random.default_rng(1).normal(size=(5, 3, 3, 7)).astype(np.float32)
    values[2] = 0.0
    values[3] = 1.5
    stored, scales, zero_points = quantize(values)
    shape = (-1, 1, 1, 1)
    restored = (stored.astype(np.float64) - zero_points.reshape(shape)) * scales.reshape(shape)
    assert (np.abs(restored - values) <= 0.5001 * scales.reshape(shape)).all()
    assert (restored[2] == 0).all()


def with_defaults(graph: dict[str, Any]) -> dict[str, Any]:
    """Add to a graph the parameters that operations got after it was written, with their defaults."""
    defaults = {
        operation["name"]: {entry["name"]: entry["default"] for entry in operation["parameters"]}
        for operation in mpscnn.operations()
    }
    nodes = []
    for node in graph["nodes"]:
        filled = node | {"attributes": defaults[node["operation"]] | node["attributes"]}
        if "activation" in node:
            filled["activation"] = defaults["neuron"] | node["activation"]
        nodes.append(filled)
    return graph | {"nodes": nodes}


@pytest.mark.parametrize("name", ["float32_v1", "float16_v1", "uint8_v1"])
def test_golden_files_keep_their_meaning(name: str) -> None:
    """The files have the same network, whose weights are stored in three types."""
    expected = json.loads((GOLDEN / "expected.json").read_text())
    model = mpscnn.load(GOLDEN / f"{name}.safetensors", device="cpu", precision="float32")
    assert model.network.to_dict() == with_defaults(expected["graph"])
    assert model.labels == expected["labels"]
    assert model.preprocess == expected["preprocess"]
    np.testing.assert_allclose(run(model.network), expected["outputs"][name], rtol=1e-5, atol=1e-7)


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def with_graph(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def apply(header: dict[str, Any]) -> None:
        graph = json.loads(header["__metadata__"]["mpscnn.graph"])
        change(graph)
        header["__metadata__"]["mpscnn.graph"] = json.dumps(graph)

    return apply


def set_graph(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(graph: Any) -> None:
        *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in keys:
            graph = graph[key]
        graph[last] = value

    return with_graph(change)


def set_metadata(key: str, value: str) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["__metadata__"].update({key: value})


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no version": (lambda h: h["__metadata__"].pop("mpscnn.version"), "not an mpscnn model"),
    "newer version": (set_metadata("mpscnn.version", "2"), "format version '2'"),
    "no graph": (lambda h: h["__metadata__"].pop("mpscnn.graph"), "has no 'mpscnn.graph'"),
    "bad JSON": (set_metadata("mpscnn.graph", '{"name": '), "JSON, byte"),
    "deep JSON": (
        set_metadata("mpscnn.graph", "[" * 100_000),
        "more than 64 arrays and objects inside each other",
    ),
    "wrong type": (set_metadata("mpscnn.graph", "[1, 2]"), "expected an object"),
    "cyclic graph": (set_graph("nodes/0/inputs", ["softmax"]), "no layer 'softmax'.* before this one"),
    "unknown operation": (set_graph("nodes/0/operation", "exec"), "unknown operation 'exec'"),
    "unknown attribute": (set_graph("nodes/0/attributes/code", 1), "unknown parameter 'code'"),
    "extra key": (set_graph("nodes/0/script", "x"), "script"),
    "huge shape": (set_graph("inputs/0/shape", [-1, 2**40, 8, 3]), "fixed number of channels"),
    "huge kernel": (set_graph("nodes/0/attributes/kernel_height", 2**30), "kernel_height must be"),
    "many channels": (set_graph("nodes/4/attributes/outputs", 2**23), "expected shape"),
    "repeated name": (set_graph("nodes/1/name", "conv"), "the name is taken"),
    "missing output": (set_graph("outputs", ["nothing"]), "no layer 'nothing'"),
    "labels that are none": (set_metadata("mpscnn.labels", '{"a": 1}'), "mpscnn.labels"),
    "too few labels": (set_metadata("mpscnn.labels", '["a"]'), "1 labels for a network of 4 classes"),
    "no output": (set_graph("outputs", []), "graph.outputs: names no layer"),
    "labels of numbers": (set_metadata("mpscnn.labels", "[1]"), "mpscnn.labels"),
    "information with numbers": (set_metadata("mpscnn.information", '{"a": 1}'), "mpscnn.information"),
    "unknown preprocessing": (set_metadata("mpscnn.preprocess", '"magic"'), "magic"),
    "foreign tensor": (lambda h: h.update({"other": h.pop("conv.bias")}), "belongs to no layer"),
    "missing tensor": (
        lambda h: h.update({"conv.bias2": h.pop("conv.weight")}),
        "'conv.weight'.* is missing",
    ),
    "overlap": (
        lambda h: h["fc.bias"].update(data_offsets=h["conv.bias"]["data_offsets"]),
        "fc.bias|overlap",
    ),
    "beyond the end": (lambda h: h["fc.bias"].update(data_offsets=[10**12, 10**12 + 16]), "fc.bias"),
    "other type": (lambda h: h["fc.bias"].update(dtype="I32"), "I32"),
}


def refusal(path: Path) -> str:
    """Return the error of loading a file. The core must refuse it, too, and its check with the same error."""
    answers = []
    for read in (_core.Model.load, _core.Model.check):
        with pytest.raises(mpscnn.WeightsError) as caught:
            read(os.fsencode(path))
        answers.append(str(caught.value))
    assert answers[0] == answers[1]
    with pytest.raises(mpscnn.WeightsError) as caught:
        mpscnn.load(path)
    return str(caught.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.safetensors"
    tiny().save(path, dtype="float32", labels=["a", "b", "c", "d"])
    header, data = parts(path)
    change, message = HOSTILE[name]
    change(header)
    path.write_bytes(joined(header, data))
    answer = refusal(path)
    assert re.search(message, answer)
    assert str(path) in answer


def test_not_finite_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nan.safetensors"
    tiny().save(path, dtype="float32")
    header, data = parts(path)
    start, _ = header["conv.weight"]["data_offsets"]
    changed = bytearray(data)
    changed[start + 20 : start + 24] = np.float32(np.nan).tobytes()
    path.write_bytes(joined(header, bytes(changed)))
    assert "layer 'conv', weight: element 5 is nan" in refusal(path)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    tiny().save(path)
    content = path.read_bytes()
    for size in {0, 1, 7, 8, 9, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:size])
        assert "cut.safetensors" in refusal(path)
    path.write_bytes(content + b"\0")
    assert "cut.safetensors" in refusal(path)


def test_missing_files_and_directories_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    with pytest.raises(mpscnn.WeightsError, match=str(missing)):
        mpscnn.load(missing)
    with pytest.raises(mpscnn.UnsupportedError, match=f"{tmp_path}: is a folder; expected a model file"):
        mpscnn.load(tmp_path)


def test_a_path_with_a_zero_character_is_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="contains a zero character"):
        mpscnn.load("tiny.safetensors\0.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    program = f"import mpscnn; mpscnn.load({str(tmp_path / 'pipe.safetensors')!r})"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert "is a device or pipe, not a model file" in ended.stderr


def test_a_loaded_model_does_not_need_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    tiny().save(path, dtype="float32")
    model = mpscnn.load(path)
    expected = run(model.network)
    path.write_bytes(b"\xff" * path.stat().st_size)
    np.testing.assert_array_equal(run(model.network), expected)


def test_failed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    tiny().save(path)
    content = path.read_bytes()
    with pytest.raises(mpscnn.ParameterError, match="dtype must be"):
        tiny().save(path, dtype="int4")
    with pytest.raises(mpscnn.WeightsError, match="cannot be written"):
        tiny().save(tmp_path / "absent" / "tiny.safetensors")
    incomplete = mpscnn.Network(input=(4, 4, 3))
    incomplete.output(incomplete.conv2d(incomplete.input, 2, 1))
    with pytest.raises(mpscnn.WeightsError, match="is missing"):
        incomplete.save(path)
    assert path.read_bytes() == content


def test_half_overflow_is_refused_when_saving(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(2, 2, 1))
    network.output(network.conv2d(network.input, 1, 1, name="big"))
    network.load_weights({"big.weight": np.full((1, 1, 1, 1), 1e6)})
    with pytest.raises(mpscnn.WeightsError, match="beyond float16's range"):
        network.save(tmp_path / "big.safetensors")


def test_the_safetensors_format_is_the_common_one() -> None:
    file = io.BytesIO()
    tensors = {
        "b": Tensor("uint8", (3,), lambda: np.zeros(3, np.uint8)),
        "a": Tensor("float32", (2, 3), lambda: np.arange(6, dtype=np.float32).reshape(2, 3)),
    }
    write_tensors(file, tensors, {"k": "v"})
    content = file.getvalue()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"k": "v"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "U8", "shape": [3], "data_offsets": [24, 27]},
    }
    assert len(content) == 8 + length + 27
