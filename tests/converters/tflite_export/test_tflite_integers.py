"""Quantised networks are written in integers, with the same bits in LiteRT as here, and read back the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.integer_networks import branched, here, in_integers, litert, mixed
from converters.quantized_files import OPERATORS, RandomFile
from exact_engines import litert_interpreter
from numpy.typing import NDArray
from quantized_networks import noise

import mpscnn
from mpscnn import Network
from mpscnn.converters import read_network
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.writing.tflite.export import to_tflite

Array = NDArray[Any]


def efficient() -> Network:
    network = mpscnn.models.efficientnet_b0(input_size=(64, 64), classes=10)
    network.initialize_weights(seed=1)
    return mpscnn.quantize(network, noise(2, 64, 64, 3))[0]


def v3() -> Network:
    network = mpscnn.models.mobilenet_v3_small(input_size=(64, 64), classes=10)
    network.initialize_weights(seed=1)
    return mpscnn.quantize(network, noise(2, 64, 64, 3))[0]


@cache
def bundled() -> Network:
    model = mpscnn.load("cifar10_mobilenet_v2", device="cpu")
    return mpscnn.quantize(model, [mpscnn.samples.photo("cat")])[0]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("kind", [*OPERATORS, "LEAKY_RELU", "LOGISTIC", "TANH"])
def test_every_operator_of_integers(kind: str, dtype: str, tmp_path: Path) -> None:
    """A network of integers of any operator, written and run in LiteRT, has the bits of this engine."""
    for seed in range(3):
        given = RandomFile(kind, dtype, seed)
        path = tmp_path / f"{seed}.tflite"
        path.write_bytes(given.content)
        network, file = read_network(path), read_tflite(path)
        inputs = []
        for number, integers in zip(file.inputs, given.inputs, strict=True):
            grid = file.tensors[number].quantization
            assert grid is not None
            inputs.append((integers - grid.zero_points[0].astype(np.float32)) * grid.scales[0])
        for found, right in zip(
            litert(to_tflite(network, dtype="uint8"), *inputs), here(network, *inputs), strict=True
        ):
            assert np.array_equal(found, right), f"seed {seed}"


@pytest.mark.parametrize("build", [branched, bundled, v3, pytest.param(efficient, marks=pytest.mark.full)])
def test_whole_networks(build: Callable[[], Network], tmp_path: Path) -> None:
    """This takes a second, since a whole MobileNet is written, read and computed."""
    network = build()
    content = to_tflite(network, dtype="uint8")
    shape = [extent or 0 for extent in network.input.shape[1:]]
    x = np.random.default_rng(2).uniform(-1, 1, (2, *shape)).astype(np.float32)
    (found,), (right,) = litert(content, x), here(network, x)
    assert np.array_equal(found, right)
    path = tmp_path / "one.tflite"
    network.save(path)
    assert path.read_bytes() == content
    read = read_network(path)
    assert [(node["name"], node["operation"]) for node in read.to_dict()["nodes"]] == [
        (node["name"], node["operation"]) for node in network.to_dict()["nodes"]
    ]
    assert np.array_equal(in_integers(read, x), in_integers(network, x))
    floats = [np.asarray(one.compile(device="cpu").run(x)) for one in (read, network)]
    assert np.array_equal(*floats)
    if network.preprocess is not None:
        assert mpscnn.Model(read).preprocess == mpscnn.Model(network).preprocess


def test_files_are_as_small_as_their_integers(tmp_path: Path) -> None:
    network = bundled()
    network.save(tmp_path / "integers.tflite")
    network.save(tmp_path / "floats.tflite", dtype="float32")
    sizes = [(tmp_path / f"{name}.tflite").stat().st_size for name in ("integers", "floats")]
    assert sizes[0] < 0.4 * sizes[1]
    kinds = Counter(operator.kind for operator in read_tflite(tmp_path / "integers.tflite").operators)
    assert not kinds["DEQUANTIZE"]
    details = [one["dtype"] for one in litert_interpreter(tmp_path / "integers.tflite").get_input_details()]
    assert details == [np.int8]


def test_layers_that_are_kept_in_float32(tmp_path: Path) -> None:
    network = mixed()
    x = np.random.default_rng(1).uniform(-1, 1, (4, 12, 12, 3)).astype(np.float32)
    network.save(tmp_path / "mixed.tflite")
    (found,), (right,) = litert((tmp_path / "mixed.tflite").read_bytes(), x), here(network, x)
    # The floats differ in their last digits, so some of them are rounded to the next integer.
    assert np.abs(found - right).max() <= 1
    assert (found == right).mean() > 0.99
    read = read_network(tmp_path / "mixed.tflite")
    assert np.array_equal(in_integers(read, x), in_integers(network, x))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ai_edge_litert")
    model, output = tmp_path / "model.safetensors", tmp_path / "model.tflite"
    branched().save(model)
    assert call("convert", str(model), str(output)) == 0
    shown = capsys.readouterr().out
    assert "(uint8)" in shown
    assert "checked against" in shown


@pytest.mark.parametrize("has_own", [False, True])
def test_averages_of_whole_images(has_own: bool) -> None:
    """With the integers of its input an average is a pooling, otherwise a mean, which rounds otherwise."""
    network = Network((5, 7, 4))
    network.output(network.global_average_pool2d(network.input, name="average"))
    network.quantize("image", "int8", 0.01, 3)
    network.quantize("average", "int8", 0.003 if has_own else 0.01, 3)
    x = np.random.default_rng(0).uniform(-1, 1, (64, 5, 7, 4)).astype(np.float32)
    (found,), (right,) = litert(to_tflite(network, dtype="uint8"), x), here(network, x)
    assert np.array_equal(found, right)


def test_limits_stay(tmp_path: Path) -> None:
    """An activation that clips to the range of the integers is no operator, and is restored."""
    network = Network((4, 4, 3))
    x = network.conv2d(network.input, 4, 3, activation={"kind": "clamp", "a": -1.28, "b": 1.27}, name="both")
    network.output(network.conv2d(x, 2, 1, name="none"))
    network.initialize_weights(seed=1)
    network = mpscnn.quantize(network, noise(2, 4, 4, 3))[0]
    network.quantize("both", "int8", 0.01, 0)
    network.save(tmp_path / "one.tflite")
    assert [one.kind for one in read_tflite(tmp_path / "one.tflite").operators] == ["CONV_2D"] * 2
    found, right = (
        {node["name"]: node.get("activation") for node in one.to_dict()["nodes"]}
        for one in (read_network(tmp_path / "one.tflite"), network)
    )
    assert found["none"] is right["none"] is None
    assert found["both"]["kind"] == "clamp"
    np.testing.assert_allclose([found["both"][end] for end in "ab"], [-1.28, 1.27], rtol=1e-6)


FILES = (
    "google/deeplabv3_mnv2_pascal_quant",
    "google/mobilenet_v1_0.25_128_quant",
    "google/mobilenet_v2_1.0_224_quant",
    "mlperf_tiny/vww_96_int8",
)


@pytest.mark.full
@pytest.mark.parametrize("name", FILES)
def test_files_of_other_programs(name: str, shared: Path, tmp_path: Path) -> None:
    network = read_network(shared / "models" / f"{name}.tflite")
    network.save(tmp_path / "one.tflite")
    shape = [extent or 0 for extent in network.input.shape[1:]]
    x = np.random.default_rng(0).uniform(-1, 1, (1, *shape)).astype(np.float32)
    (found,), (right,) = litert((tmp_path / "one.tflite").read_bytes(), x), here(network, x)
    assert np.array_equal(found, right)
    read = read_network(tmp_path / "one.tflite")
    floats = [np.asarray(one.compile(device="cpu").run(x)) for one in (read, network)]
    assert np.array_equal(*floats)
    assert (read.labels, read.layer_names()) == (network.labels, network.layer_names())
