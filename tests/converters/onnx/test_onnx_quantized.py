"""Test ONNX files with QuantizeLinear and DequantizeLinear as networks of integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.integer_networks import IMAGES, branched, in_integers, mixed
from converters.onnx_files import assert_like_onnxruntime, model, node, operations, random_inputs, read
from exact_engines import onnxruntime_results
from numpy.typing import NDArray

import mpscnn
from mpscnn import onnx_backend
from mpscnn.converters import export_onnx, read_network

pytest.importorskip("onnxruntime")

Array = NDArray[np.float32]


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_what_was_written_has_the_same_bits(tmp_path: Path, layout: str) -> None:
    network = branched()
    export_onnx(network, tmp_path / "a.onnx", dtype="uint8", layout=layout)
    again = read_network([tmp_path / "a.onnx"])
    assert 'precision "int8" computes in its integers' in again.notes[0]
    assert not any("float32" in note for note in again.notes), again.notes
    for name, expected in network.weights.items():
        np.testing.assert_array_equal(again.weights[name].reshape(expected.shape), expected)
    x = np.random.default_rng(1).uniform(-1, 1, (16, 12, 12, 3)).astype(np.float32)
    np.testing.assert_array_equal(in_integers(again, x), in_integers(network, x))


def test_layers_that_are_kept_in_float32(tmp_path: Path) -> None:
    """Layers in float32 read and give floats. Layers of integers that read them round."""
    network = mixed()
    export_onnx(network, tmp_path / "a.onnx", dtype="uint8", layout="nhwc")
    again = read_network([tmp_path / "a.onnx"])
    assert "layers stay in float32: floats" in again.notes[1]
    np.testing.assert_array_equal(in_integers(again, IMAGES[0]), in_integers(network, IMAGES[0]))


def test_a_network_without_weights(tmp_path: Path) -> None:
    network = mpscnn.Network((12, 12, 3), name="small")
    network.output(network.average_pool2d(network.activation(network.input, "tanh"), 2))
    network, _ = mpscnn.quantize(network, IMAGES)
    export_onnx(network, tmp_path / "a.onnx", dtype="uint8", layout="nhwc")
    again = read_network([tmp_path / "a.onnx"])
    np.testing.assert_array_equal(in_integers(again, IMAGES[0]), in_integers(network, IMAGES[0]))


@pytest.mark.parametrize("other", ["tanh", "relu", "swish"])
@pytest.mark.parametrize("kind", ["swish", "mish", "gelu", "hard_swish"])
def test_two_activations_of_one_layer(tmp_path: Path, kind: str, other: str) -> None:
    network = mpscnn.Network((12, 12, 3), name="small")
    x = network.conv2d(network.input, 8, 3)
    network.output(network.concat([network.activation(x, other), network.activation(x, kind)]))
    network.initialize_weights(3)
    network, _ = mpscnn.quantize(network, IMAGES)
    export_onnx(network, tmp_path / "a.onnx", dtype="uint8", layout="nhwc")
    again = read_network([tmp_path / "a.onnx"])
    assert len(again.notes) == 1
    np.testing.assert_array_equal(in_integers(again, IMAGES[0]), in_integers(network, IMAGES[0]))


class _Images:
    """Images with which onnxruntime's quantiser calibrates."""

    def __init__(self, images: Array) -> None:
        self._left = list(images)

    def get_next(self) -> dict[str, Array] | None:
        return {"image": self._left.pop()[None]} if self._left else None


@pytest.mark.parametrize(
    ("activations", "kind", "per_channel"),
    [
        ("QUInt8", "QInt8", True),
        ("QUInt8", "QInt8", False),
        ("QUInt8", "QUInt8", False),
        ("QInt8", "QInt8", True),
        ("QInt8", "QInt8", False),
    ],
)
def test_files_of_onnxruntimes_quantiser(
    tmp_path: Path, activations: str, kind: str, per_channel: bool
) -> None:
    from onnxruntime import quantization

    network = mpscnn.Network((12, 12, 3), name="image")
    x = network.conv2d(network.input, 16, 3, padding="same", activation="relu", name="stem")
    y = network.depthwise_conv2d(x, 3, padding="same", activation="relu6", name="depthwise")
    x = network.add(x, network.conv2d(y, 16, 1, name="project"), name="sum")
    x = network.global_average_pool2d(network.max_pool2d(x, 2, name="halved"), name="pooled")
    network.output(network.dense(network.flatten(x, name="flat"), 10, name="scores"))
    network.initialize_weights(3)
    export_onnx(network, tmp_path / "floats.onnx")
    types = quantization.QuantType
    quantization.quantize_static(
        tmp_path / "floats.onnx",
        tmp_path / "integers.onnx",
        _Images(IMAGES[0].transpose(0, 3, 1, 2)),
        per_channel=per_channel,
        activation_type=types[activations],
        weight_type=types[kind],
    )
    again = read_network([tmp_path / "integers.onnx"])
    assert 'precision "int8" computes in its integers' in again.notes[0]
    assert not any("float32" in note for note in again.notes), again.notes
    x = np.random.default_rng(1).uniform(-1, 1, (64, 12, 12, 3)).astype(np.float32)
    given = {"image": np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
    (right,) = onnxruntime_results(tmp_path / "integers.onnx", given)
    step = again.to_dict()["nodes"][-1]["quantization"]["scale"]
    found = in_integers(again, x)
    # onnxruntime and mpscnn round at different places, so some results differ by a few integers.
    assert np.abs(found - right).max() < 3.01 * step
    assert (np.abs(found - right) < 1.01 * step).mean() > 0.95
    floats = np.asarray(network.compile(device="cpu", precision="float32").session().run(x))
    assert np.abs(found - floats).max() < 0.1 * np.abs(floats).max()
    # The calls of onnxruntime and of ONNX' backends compute what the file says, unless the caller wants floats.
    np.testing.assert_array_equal(
        mpscnn.InferenceSession(tmp_path / "integers.onnx").run(None, given)[0], found
    )
    chosen = onnx_backend.prepare(tmp_path / "integers.onnx", precision="float32").run(given)[0]
    np.testing.assert_array_equal(chosen, again.compile(device="cpu", precision="float32").session().run(x))


STEPS = {"s": np.float32(0.05), "z": np.int8(-20), "t": np.float32(0.1), "u": np.int8(3)}


def pair(source: str, result: str, scale: str = "s", zero: str = "z") -> list[Any]:
    return [
        node("QuantizeLinear", [source, scale, zero], f"{result}.q"),
        node("DequantizeLinear", [f"{result}.q", scale, zero], result),
    ]


def product(source: str, result: str, weight: str = "w", bias: str | None = "b") -> list[Any]:
    return [
        node("DequantizeLinear", [weight, "ws", "wz"], f"{result}.w", axis=0),
        *([node("DequantizeLinear", [bias, "bs"], f"{result}.b")] if bias == "b" else []),
        node(
            "Conv",
            [source, f"{result}.w", *([f"{result}.b" if bias == "b" else bias] if bias else [])],
            result,
        ),
    ]


# A convolution of integers, whose result is named "d".
LAYER = [*pair("x", "i"), *product("i", "c"), *pair("c", "d")]
CONSTANTS: dict[str, Any] = {
    **STEPS,
    "w": np.random.default_rng(0).integers(-127, 128, (3, 3, 1, 1)).astype(np.int8),
    "ws": np.float32(0.01),
    "wz": np.int8(0),
    "b": np.array([100, -3000, 2**24 + 1], np.int32),
    "bs": np.float32(0.05) * np.float32(0.01),
}
INPUT = {"x": [2, 3, 6, 6]}


def kept(network: mpscnn.Network) -> list[str]:
    """Return the operations that stay in float32."""
    return [layer["operation"] for layer in network.to_dict()["nodes"] if layer.get("keep_float32")]


def check(made: Any, *, steps: float = 1.01, scale: float = 0.05) -> mpscnn.Network:
    """Read a file, and compare its integers with onnxruntime, which computes in floats between the file's roundings.

    The results may differ by `steps` times `scale`, the scale of the result's integers.
    """
    network, feeds = read(made), random_inputs(made)
    (right,) = onnxruntime_results(made, feeds)
    found = in_integers(network, np.ascontiguousarray(feeds["x"].transpose(0, 2, 3, 1)))
    assert np.abs(found.transpose(0, 3, 1, 2) - right).max() < steps * scale
    return network


def test_integers_that_several_layers_read() -> None:
    """Each layer has its own DequantizeLinear."""
    nodes = [
        *pair("x", "i"),
        *product("i", "c"),
        node("QuantizeLinear", ["c", "s", "z"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], "first"),
        node("DequantizeLinear", ["q", "s", "z"], "second"),
        *product("first", "d"),
        *pair("d", "e"),
        node("Add", ["e", "second"], "f"),
        *pair("f", "y", "t", "u"),
    ]
    network = check(model(nodes, INPUT, CONSTANTS), scale=0.1, steps=2.01)
    assert operations(network) == ["neuron", "convolution", "convolution", "add"]
    assert kept(network) == []


def test_functions_of_a_layer_that_stays_floats() -> None:
    """The layer stays in floats because its functions have results with other integers."""
    nodes = [
        *pair("x", "i"),
        *product("i", "c"),
        node("Sigmoid", ["c"], "first"),
        *pair("first", "f", "p", "zero"),
        node("HardSigmoid", ["c"], "second"),
        *pair("second", "g", "p", "zero"),
        node("Add", ["f", "g"], "sum"),
        *pair("sum", "d", "t", "u"),
        *product("d", "e", bias=None),
        *pair("e", "y"),
    ]
    constants = CONSTANTS | {"p": np.float32(1 / 256), "zero": np.int8(-128)}
    network = check(model(nodes, INPUT, constants), steps=3.01)
    assert kept(network)[:1] == ["convolution"]


@pytest.mark.parametrize(
    ("changed", "is_kept"),
    [
        ({}, False),
        ({"bs": np.float32(0.04)}, True),  # the scale is not that of the products
        ({"wz": np.int8(7)}, False),
        ({"wz": np.array([0, 3, -5], np.int8), "ws": np.array([0.01, 0.02, 0.005], np.float32)}, True),
        ({"ws": np.array([0.01, 0.02, 0.005], np.float32), "wz": np.zeros(3, np.int8)}, True),
        ({"w": np.full((3, 3, 1, 1), 200, np.uint8), "wz": np.uint8(120)}, False),
    ],
)
def test_weights_and_biases(changed: dict[str, Any], is_kept: bool) -> None:
    nodes = [*LAYER, *product("d", "e", bias=None), *pair("e", "y")]
    constants = CONSTANTS | changed
    network = check(model(nodes, INPUT, constants))
    assert kept(network) == (["convolution"] if is_kept else [])
    numbers = [weight for name, weight in network.weights.items() if name.endswith(".weight")]
    scale, zero = (np.broadcast_to(constants[name], 3)[:, None, None, None] for name in ("ws", "wz"))
    expected = (constants["w"].astype(np.float32) - zero) * scale
    np.testing.assert_array_equal(numbers[0].transpose(0, 3, 1, 2), expected)


def test_scales_of_products() -> None:
    """A bias may have a scale for each output, like the weights."""
    each = np.array([0.01, 0.02, 0.005], np.float32)
    changed = {"ws": each, "wz": np.zeros(3, np.int8), "bs": np.float32(0.05) * each}
    nodes = [*pair("x", "i"), *product("i", "c"), *pair("c", "y")]
    nodes[3] = node("DequantizeLinear", ["b", "bs"], "c.b", axis=0)
    network = check(model(nodes, INPUT, CONSTANTS | changed))
    assert kept(network) == []


def test_a_bias_of_floats() -> None:
    """The layer of a float bias stays in float32, because onnxruntime does not round it, either."""
    nodes = [
        *pair("x", "i"),
        *product("i", "c", bias="f"),
        *pair("c", "d"),
        *product("d", "e"),
        *pair("e", "y"),
    ]
    network = check(model(nodes, INPUT, CONSTANTS | {"f": np.array([0.5, -1, 0.25], np.float32)}))
    assert kept(network) == ["convolution"]


def test_a_pooling_with_other_integers() -> None:
    """Poolings support only the integers of their input. With others, they are computed in floats and rounded once."""
    nodes = [*LAYER, node("AveragePool", ["d"], "p", kernel_shape=[2, 2]), *pair("p", "y", "t", "u")]
    network = check(model(nodes, INPUT, CONSTANTS), scale=0.1)
    assert kept(network) == ["pooling"]


@pytest.mark.parametrize("stated", [2, 3])
def test_integers_without_a_zero_point(stated: int) -> None:
    """From opset 21 on, a file may give the type of the integers instead of a zero point."""
    nodes: list[Any] = []
    for source, result in (("x", "i"), ("c", "y")):
        nodes += [
            node("QuantizeLinear", [source, "s"], f"{result}.q", output_dtype=stated),
            node("DequantizeLinear", [f"{result}.q", "s"], result),
        ]
        if result == "i":
            nodes += product("i", "c")
    network = check(model(nodes, INPUT, CONSTANTS, opset=21))
    assert kept(network) == []
    assert network.to_dict()["nodes"][-1]["quantization"]["zero_point"] == 0
    assert network.to_dict()["nodes"][-1]["quantization"]["type"] == ("uint8" if stated == 2 else "int8")


def test_a_zero_point_that_is_stated_once() -> None:
    nodes = [*pair("x", "i"), *product("i", "c"), *pair("c", "y", zero="zero")]
    nodes[-2] = node("QuantizeLinear", ["c", "s"], "y.q")
    constants = CONSTANTS | {"zero": np.uint8(0), "s": np.array([0.05], np.float32), "z": np.uint8(108)}
    assert kept(check(model(nodes, INPUT, constants))) == []


@pytest.mark.parametrize(("value", "is_kept"), [(0.0, False), (5.0, False), (20.0, True), (0.01, True)])
def test_a_border_is_one_of_the_integers(value: float, is_kept: bool) -> None:
    nodes = [*LAYER, node("Pad", ["d", "pads", "value"], "p"), *pair("p", "y", "t", "u")]
    constants = CONSTANTS | {
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "value": np.float32(value),
        "t": np.float32(0.2),
    }
    network = check(model(nodes, INPUT, constants), scale=0.2)
    assert kept(network) == (["padding"] if is_kept else [])


def test_several_equal_pairs_behind_a_tensor() -> None:
    nodes = [
        *pair("x", "i"),
        *product("i", "c"),
        *pair("c", "left"),
        *pair("c", "right"),
        *product("left", "l"),
        *pair("l", "m"),
        node("Add", ["m", "right"], "sum"),
        *pair("sum", "y", "t", "u"),
    ]
    assert kept(check(model(nodes, INPUT, CONSTANTS), scale=0.1, steps=2.01)) == []


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul"])
def test_constants_of_integers(kind: str) -> None:
    nodes = [
        *LAYER,
        node("DequantizeLinear", ["k", "t", "u"], "number"),
        node(kind, ["d", "number"], "sum"),
        *pair("sum", "y", "t", "u"),
    ]
    constants = CONSTANTS | {"k": np.array([-100, 5, 90], np.int8).reshape(1, 3, 1, 1)}
    network = check(model(nodes, INPUT, constants), scale=0.1)
    assert kept(network) == []
    assert "constant" in operations(network)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul"])
def test_constants_of_small_floats_are_not_taken_as_integers(kind: str) -> None:
    """The numbers of a constant of 8-bit floats have fractions, which no integers with its scale have."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    nodes = [*LAYER, node("DequantizeLinear", ["k", "t"], "n"), node(kind, ["d", "n"], "e"), *pair("e", "y")]
    numbers = np.array([-2, 0.25, 0.75], ml_dtypes.float8_e4m3fn).reshape(1, 3, 1, 1)
    made = model(nodes, INPUT, CONSTANTS | {"k": numbers, "t": np.float32(4)}, opset=19)
    network = read(made)
    assert "constant" not in operations(network)
    assert kept(network) != []


def test_a_nearest_resize_as_torch_writes_it() -> None:
    nodes = [
        *LAYER,
        node(
            "Resize",
            ["d", "", "factors"],
            "r",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        *pair("r", "y"),
    ]
    constants = CONSTANTS | {"factors": np.array([1, 1, 2, 2], np.float32)}
    assert kept(check(model(nodes, INPUT, constants))) == []


def test_sums_beyond_32_bits() -> None:
    """Quantisers make biases near 2^31 for channels that are almost zero."""
    nodes = [*LAYER, *product("d", "e", bias=None), *pair("e", "y")]
    changed = {"b": np.array([100, 2**31 - 10_000, -5], np.int32)}
    assert kept(check(model(nodes, INPUT, CONSTANTS | changed))) == ["convolution"]


@pytest.mark.parametrize(
    "changed", [{"wz": np.zeros(3, np.int8)}, {"wz": np.uint8(232)}, {"ws": np.float32(1e20)}]
)
def test_weights_that_layers_of_integers_do_not_have(changed: dict[str, Any]) -> None:
    nodes = [*pair("x", "i"), *product("i", "c"), *pair("c", "y")]
    try:
        network = read(model(nodes, INPUT, CONSTANTS | changed))
    except mpscnn.WeightsError:
        return
    assert "only the limits stay" in network.notes[0]


SCALES = np.float32([0.05, 0.1, 0.02])
ZEROS = np.int8([0, 10, -20])
#: Moves of integers that have a scale for each channel, the channels that they leave, and the new axis of these.
MOVES: dict[str, tuple[Any, Any, int]] = {
    "Gather": (node("Gather", ["i", "places"], "m", axis=1), [2, 0, 1, 1], 1),
    "Concat": (node("Concat", ["i", "i"], "m", axis=1), [0, 1, 2, 0, 1, 2], 1),
    "Identity": (node("Identity", ["i"], "m"), [0, 1, 2], 1),
    "Reshape": (node("Reshape", ["i", "shape"], "m"), [0, 1, 2], 1),
    "Slice": (node("Slice", ["i", "last", "first", "axis", "step"], "m"), [2, 1], 1),
    "Tile": (node("Tile", ["i", "times"], "m"), [0, 1, 2, 0, 1, 2], 1),
    "Transpose": (node("Transpose", ["i"], "m", perm=[0, 2, 1, 3]), [0, 1, 2], 2),
}


@pytest.mark.parametrize("kind", MOVES)
def test_moves_of_integers_with_a_scale_for_each_channel(kind: str) -> None:
    """No layer computes in such integers, so the numbers are rounded to them. A move may change their axis."""
    move, kept, axis = MOVES[kind]
    constants = {
        "s": SCALES, "z": ZEROS, "s2": SCALES[kept], "z2": ZEROS[kept], "places": np.array(kept),
        "shape": np.array([0, 3, 1, 9]), "times": np.array([1, 2, 1, 1]), "last": np.array([-1]),
        "first": np.array([0]), "axis": np.array([1]), "step": np.array([-1]),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "i"),
        move,
        node("DequantizeLinear", ["m", "s2", "z2"], axis=axis),
    ]
    assert_like_onnxruntime(model(nodes, {"x": [2, 3, 3, 3]}, constants), tolerance=1e-7)


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v2_1.0_224_quant"])
def test_files_of_uint8(shared: Path, tmp_path: Path, name: str) -> None:
    network = read_network([shared / "models" / "google" / f"{name}.tflite"])
    export_onnx(network, tmp_path / "a.onnx", dtype="uint8")
    again = read_network([tmp_path / "a.onnx"])
    x = np.random.default_rng(0).uniform(-1, 1, (2, *network.input.shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(in_integers(again, x), in_integers(network, x))


def test_the_command_compares_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = branched()
    export_onnx(network, tmp_path / "a.onnx", dtype="uint8")
    assert call("convert", str(tmp_path / "a.onnx"), str(tmp_path / "b.safetensors")) == 0
    assert "equal" in capsys.readouterr().out


def test_activations_of_sixteen_bits() -> None:
    """Activations of 16 bits become floats that are limited to the range of these integers."""
    constants = CONSTANTS | {"z": np.int16(-20)}
    network = read(model([*pair("x", "i"), *product("i", "c"), *pair("c", "y")], INPUT, constants))
    assert "only the limits stay" in network.notes[0]
    assert not any("quantization" in layer for layer in network.to_dict()["nodes"])
