"""Test that networks in precision "int8" have the bits of TensorFlow Lite's reference kernels."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.quantized_files import RandomFile, judged
from kernels_here import choose_set
from numpy.typing import NDArray
from reference import quantized
from reference.neuron import neuron

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tflite.file import FileTensor, read_tflite

KINDS = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "GATHER",
    "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "QUANTIZE", "RELU", "RELU6",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SOFTMAX", "STRIDED_SLICE", "SUB", "TANH", "TILE",
    "TRANSPOSE",
]  # fmt: skip
FILES = [
    "google/deeplabv3_mnv2_pascal_quant",
    "google/mobilenet_v1_0.25_128_quant",
    "google/mobilenet_v1_0.75_192_quant",
    "google/mobilenet_v1_1.0_224_quant_embedding_extractor",
    "google/mobilenet_v1_1.0_224_quant_head_layers",
    "google/mobilenet_v2_1.0_224_quant",
    "mlperf_tiny/pretrainedResnet_quant",
    "mlperf_tiny/vww_96_int8",
]


@pytest.fixture(params=["baseline", "avx2", "avx512", "neon"])
def instruction_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each instruction set of this processor."""
    return choose_set(request.param, monkeypatch)


def numbers(tensor: FileTensor, integers: Any) -> NDArray[np.float32]:
    """Return the numbers that a tensor's integers represent."""
    assert tensor.quantization is not None
    offset = np.asarray(integers, np.int64) - tensor.quantization.zero_points[0]
    return offset.astype(np.float32) * np.float32(tensor.quantization.scales[0])


def computed(path: Path, inputs: list[Any], *, threads: int = 1) -> NDArray[Any]:
    """Return the result of mpscnn in precision "int8"."""
    file = read_tflite(path)
    program = converters.read_network([path]).compile(device="cpu", precision="int8")
    x = [numbers(file.tensors[index], given) for index, given in zip(file.inputs, inputs, strict=True)]
    result = program.session(threads=threads).run(x)
    assert isinstance(result, np.ndarray)
    return result


def expected(path: Path, inputs: list[Any]) -> NDArray[np.float32]:
    """Return the result of LiteRT's reference kernels."""
    file = read_tflite(path)
    last = file.operators[-1]
    # mpscnn does not compute the position of the greatest channel.
    index = last.inputs[0] if last.kind == "ARG_MAX" else file.outputs[0]
    return numbers(file.tensors[index], judged(path, *inputs)[index])


def random_integers(path: Path, batch: int | None = None) -> NDArray[Any]:
    file = read_tflite(path)
    tensor = file.tensors[file.inputs[0]]
    limits = np.iinfo(tensor.dtype)
    shape = (batch or tensor.shape[0], *tensor.shape[1:])
    return np.random.default_rng(0).integers(limits.min, limits.max + 1, shape).astype(tensor.dtype)


@pytest.mark.parametrize(("kind", "dtype"), list(itertools.product(KINDS, ["uint8", "int8"])))
@pytest.mark.usefixtures("instruction_set")
def test_single_layers(tmp_path: Path, full: bool, kind: str, dtype: str) -> None:
    path = tmp_path / "one.tflite"
    for seed in range(30 if full else 6):
        made = RandomFile(kind, dtype, seed)
        path.write_bytes(made.content)
        found = computed(path, made.inputs, threads=1 + seed % 3)
        np.testing.assert_array_equal(found, expected(path, made.inputs), err_msg=f"seed {seed}")


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    "kind",
    ["ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "HARD_SWISH", "MUL", "SUB", "TRANSPOSE"],
)
@pytest.mark.usefixtures("instruction_set")
def test_large_layers(tmp_path: Path, full: bool, kind: str, dtype: str) -> None:
    """Large layers have several strips of pixels and panels of outputs.

    They also have dilation, and weights whose difference from the zero point needs more than 8 bits.
    """
    path = tmp_path / "one.tflite"
    for seed in range(20 if full else 5):
        made = RandomFile(kind, dtype, seed, large=True)
        path.write_bytes(made.content)
        found = computed(path, made.inputs, threads=1 + seed % 3)
        np.testing.assert_array_equal(found, expected(path, made.inputs), err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", FILES)
def test_real_files(shared: Path, name: str) -> None:
    """This takes a second, since the reference kernels of LiteRT are slow at the full size."""
    path = shared / "models" / f"{name}.tflite"
    x = random_integers(path)
    np.testing.assert_array_equal(computed(path, [x]), expected(path, [x]))


def test_quantised_files_are_loaded(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    path = shared / "models" / "mlperf_tiny" / "vww_96_int8.tflite"
    x = random_integers(path)
    program = mpscnn.load(path, precision="int8", device="cpu").network.compile(
        device="cpu", precision="int8"
    )
    source = read_tflite(path)
    found = program.session(threads=1).run(numbers(source.tensors[source.inputs[0]], x))
    np.testing.assert_array_equal(np.asarray(found), expected(path, [x]))


@pytest.mark.ci
def test_bits_are_the_same_everywhere(
    shared: Path, instruction_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits do not depend on the instruction set, the number of threads and the place in a batch."""
    path = shared / "models" / "mlperf_tiny" / "vww_96_int8.tflite"
    x = random_integers(path, batch=5)
    found = computed(path, [x], threads=3)
    monkeypatch.setenv("MPSCNN_CPU", mpscnn.build_config()["instruction_sets"][0])
    for image, own in zip(x, found, strict=True):
        np.testing.assert_array_equal(computed(path, [image[None]])[0], own)


def test_files_keep_the_integers(tmp_path: Path) -> None:
    made = RandomFile("CONV_2D", "int8", 3)
    source, saved = tmp_path / "one.tflite", tmp_path / "one.safetensors"
    source.write_bytes(made.content)
    network = converters.read_network([source])
    network.save(saved)
    again = mpscnn.load(saved).network
    entries = [*again.to_dict()["inputs"], *again.to_dict()["nodes"]]
    assert [set(entry["quantization"]) for entry in entries] == [{"type", "scale", "zero_point"}] * 2
    assert again.to_dict() == network.to_dict()
    x = numbers(read_tflite(source).tensors[0], made.inputs[0])
    result = again.compile(device="cpu", precision="int8").session(threads=1).run(x)
    np.testing.assert_array_equal(result, expected(source, made.inputs))


def test_converted_files_keep_the_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Conversion in Python and by the command keeps integers, unless another type is asked for."""
    made = RandomFile("CONV_2D", "uint8", 4)
    source, saved = tmp_path / "one.tflite", tmp_path / "one.safetensors"
    source.write_bytes(made.content)
    x = numbers(read_tflite(source).tensors[0], made.inputs[0])
    converters.convert_files([source], saved)
    by_python = saved.read_bytes()
    assert call("convert", str(source), str(saved), "--overwrite") == 0
    assert "(uint8)" in capsys.readouterr().out
    assert saved.read_bytes() == by_python
    program = mpscnn.load(saved, device="cpu", precision="int8").network.compile(
        device="cpu", precision="int8"
    )
    np.testing.assert_array_equal(program.session(threads=1).run(x), expected(source, made.inputs))
    converters.convert_files([source], saved, dtype="float16")
    with pytest.raises(mpscnn.WeightsError, match="int8 precision needs weights that are 8-bit integers"):
        mpscnn.load(saved, device="cpu", precision="int8")


def test_numbers_become_the_nearest_integers() -> None:
    """Numbers are rounded to the nearest integer, ties away from zero, and clipped. NaN becomes zero."""
    network = mpscnn.Network(input=(1, 1, 9))
    result = network.layer("pooling", [network.input], {"kind": "average"}, name="same")
    for tensor in (network.input, result):
        network.quantize(tensor, "int8", 0.5, 3)
    network.output(result)
    x = np.array([0.24, 0.25, -0.25, 0.75, 61.9, 62.3, -65.5, -1e30, np.nan], np.float32)
    y = network.compile(device="cpu", precision="int8").session(threads=1).run(x.reshape(1, 1, 1, 9))
    assert np.asarray(y).ravel().tolist() == [0.0, 0.5, -0.5, 1.0, 62.0, 62.0, -65.5, -65.5, 0.0]


FUNCTIONS: dict[str, tuple[Any, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    **{
        kind: (
            {"kind": kind, "a": 0.8, "b": 1.3},
            lambda x, kind=kind: neuron(x, {"kind": kind, "a": 0.8, "b": 1.3}),  # type: ignore[misc]
        )
        for kind in ("absolute", "softplus", "softsign", "elu", "gelu", "gelu_tanh", "mish", "erf")
    },
    "linear": ({"kind": "linear", "a": -0.02, "b": 0.4}, lambda x: 0.4 - 0.02 * x),
    "sigmoid": ("sigmoid", lambda x: 1.0 / (1.0 + np.exp(-x))),
    "hard_sigmoid": (
        {"kind": "hard_sigmoid", "a": 0.25, "b": 0.5},
        lambda x: np.clip(0.25 * x + 0.5, 0.0, 1.0),
    ),
    "tanh": ({"kind": "tanh", "a": 1.5, "b": 0.7}, lambda x: 1.5 * np.tanh(0.7 * x)),
    "hard_swish": ("hard_swish", lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0),
    "swish": ({"kind": "swish", "b": 1.5}, lambda x: x / (1.0 + np.exp(-1.5 * x))),
}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functions_are_tables_of_the_nearest_integers(kind: str, dtype: str) -> None:
    """Functions give the nearest integers also for scales that TensorFlow Lite does not allow for them."""
    activation, function = FUNCTIONS[kind]
    lowest = int(np.iinfo(dtype).min)
    source, result = (0.9, lowest + 120), (0.0061, lowest + 31)
    network = mpscnn.Network(input=(1, 1, 256))
    y = network.activation(network.input, activation, name="function")
    network.quantize(network.input, dtype, *source)
    network.quantize(y, dtype, *result)
    network.output(y)
    integers = np.arange(256) + lowest
    x = ((integers - source[1]) * np.float32(source[0])).astype(np.float32)
    found = network.compile(device="cpu", precision="int8").session(threads=1).run(x.reshape(1, 1, 1, 256))
    steps = function(x.astype(np.float64)) / np.float64(np.float32(result[0]))
    wanted = np.clip(steps + result[1], lowest, lowest + 255) - result[1]
    error = np.asarray(found).ravel() / np.float32(result[0]) - wanted
    assert np.abs(error).max() <= 0.501


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply"])
@pytest.mark.parametrize(
    ("shape", "other"),
    [
        ((1, 1, 21), (5, 6, 21)),
        ((5, 6, 1), (5, 6, 21)),
        ((1, 1, 1), (5, 6, 21)),
        ((5, 1, 21), (5, 6, 21)),
        ((5, 6, 21), (1, 6, 1)),
        ((5, 1, 21), (1, 6, 1)),
    ],
)
@pytest.mark.usefixtures("instruction_set")
def test_operands_with_one_row_column_or_channel(
    operation: str, shape: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    network = mpscnn.Network(input={"a": shape, "b": other})
    a, b = network.inputs
    network.quantize(a, "int8", 0.05, -3)
    network.quantize(b, "int8", 0.02, 7)
    result = getattr(network, operation)(a, b, name="both")
    network.quantize(result, "int8", 0.1, 5)
    network.output(result)
    draw = np.random.default_rng(1)
    x, y = (draw.integers(-128, 128, (2, *tensor.shape[1:])) for tensor in (a, b))
    given = [((x + 3) * np.float32(0.05)).astype(np.float32), ((y - 7) * np.float32(0.02)).astype(np.float32)]
    found = network.compile(device="cpu", precision="int8").session(threads=2).run(given)
    own = [quantized.Quantization(*entry, "int8") for entry in ((0.05, -3), (0.02, 7), (0.1, 5))]
    left, right = np.broadcast_arrays(x, y)
    compute = {"add": quantized.add, "subtract": quantized.subtract, "multiply": quantized.multiply}[
        operation
    ]
    wanted = compute(left, own[0], right, own[1], own[2])
    np.testing.assert_array_equal(np.asarray(found), (wanted - 5).astype(np.float32) * np.float32(0.1))


def test_operands_with_every_other_channel_are_refused() -> None:
    network = mpscnn.Network(input={"a": (4, 4, 3), "b": (8, 4, 3)})
    result = network.layer("add", network.inputs, {"secondary_stride_y": 2}, name="both")
    for tensor in (*network.inputs, result):
        network.quantize(tensor, "int8", 0.1, 0)
    network.output(result)
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer 'both' .*got add"):
        network.compile(device="cpu", precision="int8")


MOVES: dict[str, tuple[str, dict[str, Any]]] = {
    "halves": ("channel_shuffle", {"groups": 2}),
    "thirds": ("channel_shuffle", {"groups": 3}),
    "rows last": ("transpose", {"axes": [2, 3, 1]}),
    "columns and channels": ("transpose", {"axes": [1, 3, 2]}),
    "part": ("slice", {"top": 1, "left": 2, "front": 3, "channels": 30, "stride_x": 2}),
    "backward": ("slice", {"top": -1, "stride_y": -1, "front": 5, "stride_channels": 3, "channels": 9}),
    "gathered": ("gather", {"axis": -1, "indices": [3, 3, 41, 0]}),
    "repeated": ("tile", {"rows": 2, "columns": 1, "channels": 3}),
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", MOVES)
@pytest.mark.usefixtures("instruction_set")
def test_moves_keep_the_integers(name: str, first: bool) -> None:
    """Layers move the integers of an input, or of another layer, as they move numbers."""
    operation, attributes = MOVES[name]
    network = mpscnn.Network(input=(5, 7, 42))
    x = network.input
    if not first:
        x = network.layer("pooling", [x], {"kind": "max"}, name="same")
        network.quantize(x, "int8", 0.25, 9)
    y = network.layer(operation, [x], attributes, name="move")
    z = network.layer("pooling", [y], {"kind": "max"}, name="again")
    for tensor in (network.input, y, z):
        network.quantize(tensor, "int8", 0.25, 9)
    network.output(y)
    network.output(z)
    integers = np.random.default_rng(2).integers(-128, 128, (3, 5, 7, 42))
    given = ((integers - 9) * np.float32(0.25)).astype(np.float32)
    found, right = (
        network.compile(device="cpu", precision=precision).session(threads=2).run(given)
        for precision in ("int8", "float32")
    )
    assert isinstance(found, dict)
    assert isinstance(right, dict)
    for output in ("move", "again"):
        np.testing.assert_array_equal(found[output], right[output])


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (56, 60)])
@pytest.mark.usefixtures("instruction_set")
def test_a_mean_of_the_image_has_integers_of_its_own(size: tuple[int, int], dtype: str) -> None:
    """The mean of an image has the integers of a mean along one axis. With the source's scale it is a pooling."""
    (height, width), lowest = size, int(np.iinfo(dtype).min)
    integers = np.random.default_rng(3).integers(0, 256, (3, height, width, 37)) + lowest
    given = ((integers - (lowest + 11)) * np.float32(0.25)).astype(np.float32)

    def result(*, pools: bool, scale: float, zero_point: int) -> np.ndarray[Any, Any]:
        network = mpscnn.Network(input=(height, width, 37))
        network.quantize(network.input, dtype, 0.25, lowest + 11)
        x = network.input
        if pools:
            y = network.global_average_pool2d(x, name="mean")
        else:
            x = network.reshape(x, (1, height * width, 37))
            network.quantize(x, dtype, 0.25, lowest + 11)
            y = network.layer("reduction", [x], {"kind": "mean", "axis": "width"}, name="mean")
        network.quantize(y, dtype, scale, zero_point)
        network.output(y)
        return np.asarray(network.compile(device="cpu", precision="int8").session(threads=2).run(given))

    for scale, zero_point in ((0.031, lowest + 140), (0.25, lowest + 12), (1.9, lowest)):
        np.testing.assert_array_equal(
            result(pools=True, scale=scale, zero_point=zero_point),
            result(pools=False, scale=scale, zero_point=zero_point),
        )
    same = result(pools=True, scale=0.25, zero_point=lowest + 11)
    sums = (integers - lowest).sum(axis=(1, 2), keepdims=True)
    nearest = (2 * sums + height * width) // (2 * height * width) - 11
    assert np.abs(same - nearest * 0.25).max() <= 0.25  # ties go away from the zero point
    assert (same == nearest * 0.25).mean() > 0.95


@pytest.mark.parametrize("kind", ["global", "window", "sum"])
def test_means_of_more_numbers_than_sums_hold(kind: str) -> None:
    network = mpscnn.Network(input=(1, 9_000_000, 1) if kind == "sum" else (3000, 3000, 1))
    if kind == "global":
        y = network.global_average_pool2d(network.input, name="mean")
    elif kind == "sum":
        y = network.layer("reduction", [network.input], {"kind": "sum", "axis": "width"}, name="mean")
    else:
        y = network.average_pool2d(network.input, 3000, name="mean")
    network.output(y)
    for tensor in (network.input, y):
        network.quantize(tensor, "uint8", 1 / 255, 0)
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"layer 'mean' .* a mean or sum of more than 8388608 elements"
    ):
        network.compile(device="cpu", precision="int8")


def test_means_of_images_of_any_size() -> None:
    """Images that are too large for exact integer means raise an error when the network runs."""
    network = mpscnn.Network(input=(None, None, 1))
    y = network.global_average_pool2d(network.input, name="mean")
    network.output(y)
    for tensor in (network.input, y):
        network.quantize(tensor, "uint8", 1 / 255, 0)
    session = network.compile(device="cpu", precision="int8").session()
    assert session.run(np.ones((1, 100, 90, 1), np.float32)).item() == pytest.approx(1.0)
    with pytest.raises(mpscnn.UnsupportedError, match="a mean or sum of more than 8388608 elements"):
        session.run(np.ones((1, 3000, 3000, 1), np.float32))


@pytest.mark.parametrize("scale", [2.05, 3.0, 4.5, 6.0, 9.0, 20.0])
def test_a_sigmoid_of_large_steps(scale: float) -> None:
    network = mpscnn.Network(input=(16, 16, 1))
    y = network.activation(network.input, "sigmoid", name="sigmoid")
    network.output(y)
    network.quantize(network.input, "int8", scale, 0)
    network.quantize(y, "int8", 1 / 256, -128)
    x = (np.arange(-128, 128) * np.float32(scale)).reshape(1, 16, 16, 1).astype(np.float32)
    found = np.asarray(network.compile(device="cpu", precision="int8").session().run(x)).reshape(-1)
    right = 1 / (1 + np.exp(-x.reshape(-1).clip(-60, 60).astype(np.float64)))
    assert np.abs(found - np.minimum(right, 255 / 256)).max() < 0.51 / 256


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_constants_are_the_nearest_integers(dtype: str) -> None:
    """Constants are rounded with ties away from zero, and clipped. They may be outputs, and be read by a layer."""
    lowest = int(np.iinfo(dtype).min)
    network = mpscnn.Network(input=(2, 3, 4))
    values = network.constant(network.input, (1, 1, 4), name="values")
    total = network.add(network.input, values, name="total")
    network.set_weights({"values.value": np.array([[[0.25, -0.74, 99.0, -99.0]]], np.float32)})
    for tensor in (network.input, values, total):
        network.quantize(tensor, dtype, 0.5, lowest + 100)
        if tensor is not network.input:
            network.output(tensor)
    found = (
        network.compile(device="cpu", precision="int8")
        .session(threads=1)
        .run(np.zeros((2, 2, 3, 4), np.float32))
    )
    assert isinstance(found, dict)
    wanted = np.array([0.5, -0.5, 77.5, -50.0], np.float32)
    np.testing.assert_array_equal(found["values"], np.broadcast_to(wanted, (2, 1, 1, 4)))
    np.testing.assert_array_equal(found["total"], np.broadcast_to(wanted, (2, 2, 3, 4)))


def small_network() -> mpscnn.Network:
    network = mpscnn.Network(input=(4, 4, 2), name="small")
    network.output(network.conv2d(network.input, 3, 1, name="conv"))
    network.initialize_weights()
    return network


def test_networks_without_integers_are_refused() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer 'conv' .*got a tensor without"):
        small_network().compile(device="cpu", precision="int8")
    network = small_network()
    for tensor in (network.input, "conv"):
        network.quantize(tensor, "uint8", 0.1, 7)
    with pytest.raises(
        mpscnn.WeightsError, match=r"layer 'conv': int8 precision needs weights that are 8-bit"
    ):
        network.compile(device="cpu", precision="int8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("int4", 0.1, 0), "type must be uint8 or int8, got 'int4'"),
        (("uint8", 0.0, 0), "scale of a quantization must be a finite number of at least 2"),
        (("uint8", float("nan"), 0), "must be a number of at least 2"),
        (("uint8", 0.1, -1), "the zero point of uint8 must be 0 to 255, got -1"),
        (("int8", 0.1, 128), "the zero point of int8 must be -128 to 127, got 128"),
    ],
)
def test_what_is_no_quantization(arguments: tuple[str, float, int], message: str) -> None:
    network = small_network()
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.quantize("conv", *arguments)
    structure = network.to_dict()
    kind, scale, zero_point = arguments
    structure["nodes"][0]["quantization"] = {"type": kind, "scale": scale, "zero_point": zero_point}
    if np.isfinite(scale):
        with pytest.raises(mpscnn.ParameterError, match=message):
            mpscnn._core.Graph.from_json(json.dumps(structure))


@pytest.mark.parametrize(
    "arguments", [("uint8", 0.1, 2**40), ("uint8", 0.1, 1.5), (8, 0.1, 0), ("int8", "a", 0)]
)
def test_arguments_of_other_types(arguments: tuple[Any, Any, Any]) -> None:
    with pytest.raises(mpscnn.ParameterError, match="quantize: "):
        small_network().quantize("conv", *arguments)


@pytest.mark.parametrize("channels", [511, 512, 1000, 4096])
def test_a_softmax_of_many_equal_channels(channels: int, instruction_set: str) -> None:
    """Probabilities below half of the result's scale are 0."""
    network = mpscnn.Network((1, 1, channels))
    result = network.output(network.softmax(network.input))
    network.quantize(network.input, "uint8", 0.02, 100)
    network.quantize(result, "uint8", 1 / 256, 0)
    found = (
        network.compile(device="cpu", precision="int8")
        .session()
        .run(np.zeros((1, 1, 1, channels), np.float32))
    )
    source = quantized.Quantization(np.float32(0.02), 100, "uint8")
    right = quantized.softmax(np.full((1, 1, 1, channels), 100, np.int64), source)
    np.testing.assert_array_equal(found, right / np.float32(256))
    assert right.max() == (1 if channels == 511 else 0)


@pytest.mark.parametrize("channels", [1, 600, 4095])
def test_a_log_softmax_of_many_equal_channels(channels: int, instruction_set: str) -> None:
    network = mpscnn.Network((1, 1, channels))
    result = network.output(network.log_softmax(network.input))
    network.quantize(network.input, "int8", 0.02, -28)
    network.quantize(result, "int8", 1 / 16, 127)
    program = network.compile(device="cpu", precision="int8")
    found = program.session().run(np.zeros((1, 1, 1, channels), np.float32))
    np.testing.assert_allclose(found, -np.log(channels), atol=1 / 32)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("channels", [1, 33025])
def test_a_unit_norm_of_the_farthest_integers(channels: int, dtype: str, instruction_set: str) -> None:
    """The largest sum of squares is nearly 2^31."""
    lowest = int(np.iinfo(dtype).min)
    source = quantized.Quantization(0.02, lowest, dtype)
    network = mpscnn.Network((1, 1, channels))
    result = network.output(network.unit_norm(network.input))
    network.quantize(network.input, dtype, source.scale, source.zero_point)
    network.quantize(result, dtype, 1 / 128, lowest + 128)
    program = network.compile(device="cpu", precision="int8")
    integers = np.full((1, 1, 1, channels), lowest + 255)
    found = program.session().run(quantized.dequantize(integers, source))
    right = quantized.unit_norm(integers, source)
    np.testing.assert_array_equal(found, (right - lowest - 128) / np.float32(128))


@pytest.mark.parametrize(
    ("channels", "scale", "layer", "message"),
    [
        (
            4096,
            1 / 16,
            lambda net, x: net.log_softmax(x),
            "got a logarithm of a softmax of more than 4095 channels",
        ),
        (33026, 1 / 128, lambda net, x: net.unit_norm(x), "got a unit norm of more than 33025 channels"),
        (
            5,
            1 / 15,
            lambda net, x: net.log_softmax(x, name="y"),
            "'y': the integers of a log_softmax's result have the scale 1/16 and",
        ),
        (
            5,
            1 / 16,
            lambda net, x: net.unit_norm(x),
            "a layer_normalization's result have the scale 1/128 and",
        ),
        (5, 1 / 128, lambda net, x: net.unit_norm(x, epsilon=0.01), "got layer_normalization"),
        (5, 1 / 128, lambda net, x: net.unit_norm(x, activation="relu"), "a unit norm has no activation"),
        (5, 1 / 128, lambda net, x: net.unit_norm(x, epsilon_rule="outside"), "got layer_normalization"),
        (5, 1 / 128, lambda net, x: net.layer_norm(x), "got layer_normalization"),
    ],
)
def test_norms_that_integers_lack(
    channels: int,
    scale: float,
    layer: Callable[[mpscnn.Network, mpscnn.Tensor], mpscnn.Tensor],
    message: str,
) -> None:
    network = mpscnn.Network((1, 1, channels))
    result = network.output(layer(network, network.input))
    network.quantize(network.input, "uint8", 0.02, 100)
    network.quantize(result, "uint8", scale, 255 if scale > 1 / 50 else 128)
    with pytest.raises((mpscnn.UnsupportedError, mpscnn.ParameterError), match=message):
        network.compile(device="cpu", precision="int8")


def test_a_unit_norm_with_factors_is_refused() -> None:
    network = mpscnn.Network((1, 1, 5))
    result = network.output(network.unit_norm(network.input, name="y"))
    network.graph.set_weight("y", "gamma", np.full(5, 2, np.float32))
    network.quantize(network.input, "uint8", 0.02, 100)
    network.quantize(result, "uint8", 1 / 128, 128)
    with pytest.raises(mpscnn.ParameterError, match="'y': in int8 precision a unit norm has no gamma and no"):
        network.compile(device="cpu", precision="int8")


def test_other_precisions_do_not_look_at_integers(tmp_path: Path) -> None:
    made = RandomFile("CONV_2D", "uint8", 5)
    source = tmp_path / "one.tflite"
    source.write_bytes(made.content)
    network = converters.read_network([source])
    x = numbers(read_tflite(source).tensors[0], made.inputs[0])
    structure = network.to_dict()
    plain = structure | {
        key: [{k: v for k, v in entry.items() if k != "quantization"} for entry in structure[key]]
        for key in ("inputs", "nodes")
    }
    names = {entry["name"]: entry["name"] for entry in structure["nodes"]}
    without = network.restructured(plain, names)
    first, second = (
        np.asarray(one.compile(device="cpu", precision="float32").session(threads=1).run(x))
        for one in (network, without)
    )
    np.testing.assert_array_equal(first, second)
