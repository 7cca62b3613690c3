"""Export quantised networks to ONNX with QuantizeLinear and DequantizeLinear, and run them with onnxruntime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import call
from converters.integer_networks import IMAGES, branched, in_integers, mixed
from converters.quantized_files import RandomFile
from exact_engines import onnxruntime_results

import mpscnn
from mpscnn.converters import export_onnx, read_network
from mpscnn.converters.writing.onnx.export import to_onnx
from mpscnn.quantization.onnx_check import layers_beyond_one_step

pytest.importorskip("onnxruntime")

PROJECT = Path(__file__).resolve().parents[3]
KINDS = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "RELU",
    "RELU6",
]  # fmt: skip


def test_layers_that_are_kept_in_float32() -> None:
    """Layers in float32 read and give floats. Layers of integers that read them round."""
    network = mixed()
    model = to_onnx(network, dtype="uint8")
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["QuantizeLinear"] == 4  # two operands and result of "sum", and result of "last"
    x = IMAGES[0]
    right = in_integers(network, x)
    (found,) = onnxruntime_results(to_onnx(network, dtype="uint8", layout="nhwc"), x)
    step = network.to_dict()["nodes"][-1]["quantization"]["scale"]
    assert (np.abs(found - right) < 1.01 * step).mean() > 0.99
    assert layers_beyond_one_step(network) == {}


def test_each_layer_is_within_one_integer() -> None:
    assert layers_beyond_one_step(branched()) == {}


def test_a_wrong_scale_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from mpscnn.converters.writing.onnx.integers import Integers

    right = Integers.weight

    def with_floats(self: Integers, layer: str, role: str, *others: Any) -> str | None:
        return None if (layer, role) == ("stem", "weight") else right(self, layer, role, *others)

    network = branched()
    # The comparison accepts weights that are floats instead of integers, but not other numbers.
    monkeypatch.setattr(Integers, "weight", with_floats)
    monkeypatch.setattr(Integers, "require_all_written", lambda self: None)
    assert layers_beyond_one_step(network) == {}
    moved = network.weights["stem.weight"] * 1.1
    monkeypatch.setattr(
        "mpscnn.converters.writing.onnx.export.Layer.required",
        lambda self, role: moved if (self.name, role) == ("stem", "weight") else self.weight(role),
    )
    assert list(layers_beyond_one_step(network)) == ["stem"]


def test_the_file_has_integers_around_each_layer() -> None:
    network = branched()
    model = to_onnx(network, dtype="uint8")
    kinds = Counter(node.op_type for node in model.graph.node)
    layers, weights = len(network.to_dict()["nodes"]), 8
    assert kinds["QuantizeLinear"] == layers + 1
    assert kinds["DequantizeLinear"] == layers + 1 + weights
    types = {
        constant.name: onnx.TensorProto.DataType.Name(constant.data_type)
        for constant in model.graph.initializer
    }
    assert types["stem.weight"] == "INT8"
    assert types["stem.bias"] == "INT32"
    scales = next(constant for constant in model.graph.initializer if constant.name == "stem.weight.scale")
    assert list(scales.dims) == [16]


def test_whole_networks() -> None:
    network = branched()
    x = np.random.default_rng(1).uniform(-1, 1, (64, 12, 12, 3)).astype(np.float32)
    right = in_integers(network, x)
    for layout in ("nhwc", "nchw"):
        given = x if layout == "nhwc" else x.transpose(0, 3, 1, 2)
        (found,) = onnxruntime_results(
            to_onnx(network, dtype="uint8", layout=layout), np.ascontiguousarray(given)
        )
        steps = np.abs(found - right) * 256
        assert (steps < 1.01).mean() > 0.99
        first, second = np.sort(right, axis=1)[:, -2:].T
        clear = second - first > 2 / 256
        assert clear.sum() > 8
        assert np.array_equal(found.argmax(axis=1)[clear], right.argmax(axis=1)[clear])


def test_the_bundled_classifier() -> None:
    model = mpscnn.load("cifar10_mobilenet_v2", device="cpu")
    photo = mpscnn.samples.photo("cat")
    network, _ = mpscnn.quantize(model, [photo])
    x = mpscnn.preprocess(photo, (64, 64), model.preprocess or "tensorflow")
    right = in_integers(network, x)
    (found,) = onnxruntime_results(to_onnx(network, dtype="uint8", layout="nhwc"), x)
    assert np.abs(found - right).max() < 2.01 / 256
    assert found.argmax() == right.argmax() == model.classify(photo)[0].index
    assert layers_beyond_one_step(network) == {}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_tflite_files(tmp_path: Path, kind: str, dtype: str) -> None:
    path = tmp_path / "one.tflite"
    for seed in range(5):
        path.write_bytes(RandomFile(kind, dtype, seed).content)
        assert layers_beyond_one_step(read_network([path])) == {}, f"seed {seed}"


@pytest.mark.parametrize("name", ["google/mobilenet_v1_0.25_128_quant", "mlperf_tiny/vww_96_int8"])
def test_tflite_files(shared: Path, name: str) -> None:
    network = read_network([shared / "models" / f"{name}.tflite"])
    assert layers_beyond_one_step(network) == {}


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    network = branched()
    network.save(model, dtype="uint8")
    assert call("convert", str(model), str(output), "--dtype", "uint8") == 0
    shown = capsys.readouterr().out
    assert "(uint8, nchw)" in shown
    assert "each layer within one integer" in shown
    export_onnx(network, tmp_path / "again.onnx", dtype="uint8")
    assert (tmp_path / "again.onnx").read_bytes() == output.read_bytes()
    monkeypatch.setattr(
        "mpscnn.quantization.onnx_check.layers_beyond_one_step", lambda network: {"stem": 3.0, "sum": 2.0}
    )
    assert call("convert", str(model), str(output), "--dtype", "uint8", "--overwrite") == 3
    assert (
        "2 of its layers differ on onnxruntime by more than one integer; 'stem' by 3"
        in capsys.readouterr().err
    )
