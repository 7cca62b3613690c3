"""`mpscnn convert MODEL FILE.onnx` and `export_onnx`: float32 and float16, and there and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call

import mpscnn
from mpscnn import converters

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def small_network() -> mpscnn.Network:
    network = mpscnn.Network(input=(16, 12, 3), name="small")
    x = network.conv2d(network.input, 8, 3, strides=2, padding="same", activation="relu6", name="conv")
    y = network.depthwise_conv2d(x, 3, padding="same", activation="relu", name="depthwise")
    x = network.add(x, network.conv2d(y, 8, 1, name="project"), name="add")
    x = network.max_pool2d(x, 2, name="pool")
    x = network.dense(network.flatten(x, name="flat"), 5, name="logits")
    network.output(network.softmax(x, name="softmax"))
    network.initialize_weights(seed=4)
    return network


def run_onnx(path: Path, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    result: np.ndarray[Any, Any] = session.run(None, {session.get_inputs()[0].name: x})[0]
    return result


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_types_and_layouts(dtype: str, tolerance: float, layout: str, tmp_path: Path) -> None:
    network, path = small_network(), tmp_path / "model.onnx"
    converters.export_onnx(network, path, dtype=dtype, layout=layout)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16, 12, 3)).astype(np.float32)
    expected = network.compile(device="cpu").session().run(x)
    given = np.moveaxis(x, -1, 1) if layout == "nchw" else x
    found = run_onnx(path, given.astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_float16_is_half_as_large(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(1, 1, 64))
    network.output(network.conv2d(network.input, 1024, 1))
    network.initialize_weights()
    sizes = {}
    for dtype in ("float32", "float16"):
        converters.export_onnx(network, tmp_path / "model.onnx", dtype=dtype)
        sizes[dtype] = (tmp_path / "model.onnx").stat().st_size
    assert sizes["float16"] < 0.51 * sizes["float32"]


def test_weights_beyond_float16(tmp_path: Path) -> None:
    network = small_network()
    network.load_weights({"project.bias": np.full(8, 1e5, np.float32)})
    with pytest.raises(mpscnn.WeightsError, match=r"project.bias.*100000.*float32"):
        converters.export_onnx(network, tmp_path / "model.onnx", dtype="float16")
    assert not list(tmp_path.iterdir())
    with pytest.raises(mpscnn.ParameterError, match="int8"):
        converters.export_onnx(network, tmp_path / "model.onnx", dtype="int8")


def test_there_and_back_again(tmp_path: Path) -> None:
    """What is read from ONNX, written and read again is the same network with the same weights."""
    first = tmp_path / "first.onnx"
    converters.export_onnx(small_network(), first)
    once = converters.read_network([first])
    second = tmp_path / "second.onnx"
    converters.export_onnx(once, second)
    twice = converters.read_network([second])

    def plain(network: mpscnn.Network) -> list[Any]:
        keys = ("operation", "attributes", "activation")
        return [{key: node.get(key) for key in keys} for node in network.to_dict()["nodes"]]

    assert plain(twice) == plain(once)
    assert len(once.weights) == len(twice.weights)
    for a, b in zip(once.weights.values(), twice.weights.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    x = np.random.default_rng(1).uniform(-1, 1, (2, 16, 12, 3)).astype(np.float32)
    results = [network.compile(device="cpu").session().run(x) for network in (small_network(), once, twice)]
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(results[2], results[1])


# ---- The command -------------------------------------------------------------------------------------------------


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model, output = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    small_network().save(model, dtype="float32")
    assert call(monkeypatch, "convert", str(model), str(output)) == 0
    shown = capsys.readouterr().out
    assert "(float32, nchw)" in shown
    assert "equal: " in shown
    assert call(monkeypatch, "convert", str(model), str(output), "--dtype", "float16") == 0
    assert "(float16, nchw)" in capsys.readouterr().out
    assert call(monkeypatch, "convert", "cifar10_mobilenet_v2", str(output), "--layout", "nhwc") == 0
    assert run_onnx(output, np.zeros((1, 64, 64, 3), np.float32)).shape == (1, 10)
    assert call(monkeypatch, "convert", str(model), str(output), "--dtype", "uint8") == 2
    assert "uint8" in capsys.readouterr().err
    assert call(monkeypatch, "convert", str(model), str(model), str(output)) == 2
