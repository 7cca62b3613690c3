"""Networks of quantised TensorFlow Lite files clip floats to the range that the file's integers can represent."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.quantized_ranges import CASES, WITHOUT_RANGE, Grid, X, file_of
from converters.tflite_writer import Operator, Tensor, constant, quantized, write_tflite
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.finishing.architecture_names import with_library_names
from mpscnn.converters.reading.tflite import names
from mpscnn.converters.reading.tflite.array_ops import SHAPES
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.reading.tflite.mediapipe import MEDIAPIPE
from mpscnn.converters.reading.tflite.operators import ROWS
from mpscnn.converters.reading.tflite.ranges import copies_bytes
from mpscnn.converters.reading.tflite.recurrent import RECURRENT

CODES = {names.operator_name(code): code for code in range(160)}
#: Scale and zero point of the operands and of the result for uint8. For int8, zero points are lower by 128.
RANGES: dict[str, tuple[Grid, Grid]] = {
    "cut on both sides": ((0.1, 100), (0.05, 60)),
    "wider": ((0.1, 100), (0.5, 120)),
    "positive": ((0.05, 0), (0.03, 0)),
}
#: Quantizations of results that LiteRT requires; zero points as in RANGES.
FIXED: dict[str, Grid] = {
    "L2_NORMALIZATION": (1 / 128, 128), "LOGISTIC": (1 / 256, 0), "LOG_SOFTMAX": (16 / 256, 255),
    "SOFTMAX": (1 / 256, 0), "TANH": (1 / 128, 128),
}  # fmt: skip
#: Operators without a reference kernel for uint8 in LiteRT.
NOT_UINT8 = {
    "ABS", "BATCH_MATMUL", "ELU", "EXP", "LOG", "NEG", "REDUCE_PROD", "RSQRT", "SQRT", "SQUARED_DIFFERENCE",
}  # fmt: skip
#: LiteRT 2.1 has no reference kernel for ELU in int8, computes 127 for each SUM, and ignores the zero point in NEG.
NOT_INT8 = {"ELU", "NEG", "SUM"}
#: Operators for which LiteRT requires one scale for operands and results: in int8, and in both types.
SAME_SCALE_OF_INT8 = {"CONCATENATION"}
SAME_SCALE = {"EXPAND_DIMS", "MIRROR_PAD", "PACK", "REDUCE_MAX", "REDUCE_MIN", "UNPACK"}
POSITIVE_ONLY = {"LOG", "RSQRT", "SQRT"}
#: Operators whose layer clips to the range by its activation, without an additional layer.
ATTACHED = {
    "ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED", "MUL", "SUB", "TRANSPOSE_CONV",
}  # fmt: skip
#: Operators that copy bytes, but that mpscnn computes in floats only.
NOT_IN_INTEGERS = {"DEPTH_TO_SPACE", "MAXIMUM", "MINIMUM"}
#: Operators that select by a condition, with the schema's number of their options.
CHOICES = {"SELECT": 47, "SELECT_V2": 98}
#: Operators with separate tests below, and in test_tflite_positions.py.
ELSEWHERE = {"PADV2", "SCATTER_ND", "TOPK_V2", *CHOICES}
#: Operators that copy bytes. Old files write a dilated convolution as a convolution between these two.
DILATION = {"BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"}


def test_every_operator_has_a_case() -> None:
    others = {*RECURRENT, *MEDIAPIPE, *SHAPES}
    assert set(ROWS) == set(CASES) | WITHOUT_RANGE | ELSEWHERE | DILATION | others


def grids(kind: str, dtype: str, name: str) -> tuple[Grid, Grid]:
    """Return the quantizations of the operands and of the result, which are equal where LiteRT requires it."""
    lowest = int(np.iinfo(dtype).min)
    source, result = RANGES[name]
    is_same = kind in SAME_SCALE or (dtype == "int8" and kind in SAME_SCALE_OF_INT8)
    result = source if is_same else FIXED.get(kind, result)
    return (source[0], source[1] + lowest), (result[0], result[1] + lowest)


def random_integers(kind: str, dtype: str) -> list[NDArray[Any]]:
    """Return random integers for the inputs of an operator. Those of DIV represent positive numbers."""
    lowest = int(np.iinfo(dtype).min)
    draw = np.random.default_rng(1)
    made = [draw.integers(lowest, lowest + 256, shape).astype(dtype) for shape in CASES[kind].inputs]
    if kind == "DIV":
        made = [draw.integers(lowest + 160, lowest + 256, X).astype(dtype) for _ in made]
    return made


def numbers(integers: NDArray[Any], grid: Grid) -> NDArray[np.float32]:
    return ((integers.astype(np.int64) - grid[1]) * np.float64(np.float32(grid[0]))).astype(np.float32)


def computed(
    network: mpscnn.Network, inputs: list[NDArray[np.float32]], precision: str = "float32"
) -> list[NDArray[np.float32]]:
    found = network.compile(device="cpu", precision=precision).session().run(inputs)
    return list(found.values()) if isinstance(found, dict) else [np.asarray(found)]


def neurons(network: mpscnn.Network) -> list[dict[str, Any]]:
    return [node for node in network.to_dict()["nodes"] if node["operation"] == "neuron"]


def is_in_litert(kind: str, dtype: str, name: str) -> bool:
    if kind in POSITIVE_ONLY and name != "positive":
        return False
    return kind not in (NOT_UINT8 if dtype == "uint8" else NOT_INT8)


KINDS = [
    (kind, dtype, name)
    for kind, dtype, name in itertools.product(CASES, ("uint8", "int8"), RANGES)
    if is_in_litert(kind, dtype, name)
]


@pytest.mark.parametrize(("kind", "dtype", "name"), KINDS)
def test_floats_are_what_the_integers_stand_for(tmp_path: Path, kind: str, dtype: str, name: str) -> None:
    """Float results differ from the numbers of LiteRT's integers by at most one step of the integers."""
    source, result = grids(kind, dtype, name)
    path = tmp_path / "one.tflite"
    path.write_bytes(file_of(kind, dtype, source, result))
    integers = random_integers(kind, dtype)
    network = converters.read_network([path])
    found = computed(network, [numbers(x, source) for x in integers])
    answers = judged(path, *integers)
    for ours, index in zip(found, read_tflite(path).outputs, strict=True):
        error = np.abs(ours.astype(np.float64) - numbers(answers[index], result)) / result[0]
        assert error.max() <= 1.01
    if kind in ATTACHED:
        assert not neurons(network)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", sorted(ATTACHED | {"QUANTIZE", "HARD_SWISH"}))
def test_other_precisions_obey_the_range(tmp_path: Path, kind: str, precision: str) -> None:
    if precision == "bfloat16" and "no_bfloat16" in mpscnn.devices()[0]:
        pytest.skip(f"bfloat16: {mpscnn.devices()[0]['no_bfloat16']}")
    source, result = grids(kind, "uint8", "cut on both sides")
    path = tmp_path / "one.tflite"
    path.write_bytes(file_of(kind, "uint8", source, result))
    integers = random_integers(kind, "uint8")
    network = converters.read_network([path])
    (found,) = computed(network, [numbers(x, source) for x in integers], precision)
    low, high = -result[1] * result[0], (255 - result[1]) * result[0]
    rounding = 2.0**-8 * max(abs(low), abs(high))
    assert low - rounding <= found.min()
    assert found.max() <= high + rounding


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (kind, dtype)
        for kind, dtype, name in KINDS
        if name == "wider" and copies_bytes(kind) and kind not in NOT_IN_INTEGERS
    ],
)
@pytest.mark.parametrize("name", RANGES)
def test_operators_that_copy_bytes_are_integers_too(tmp_path: Path, kind: str, dtype: str, name: str) -> None:
    """Results in integers equal LiteRT's, even if the result has another scale than the operands."""
    source, result = grids(kind, dtype, name)
    path = tmp_path / "one.tflite"
    path.write_bytes(file_of(kind, dtype, source, result))
    integers = random_integers(kind, dtype)
    network = converters.read_network([path])
    answers = judged(path, *integers)
    found = computed(network, [numbers(x, source) for x in integers], "int8")
    for ours, index in zip(found, read_tflite(path).outputs, strict=True):
        np.testing.assert_allclose(ours, numbers(answers[index], result), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("activation", range(4), ids=["none", "relu", "relu_n1_to_1", "relu6"])
@pytest.mark.parametrize("range_", [(0.0235, 0), (0.0196, 0), (0.05, 60), (0.02, 250), (0.003, 20)], ids=str)
@pytest.mark.parametrize("kind", ["ADD", "AVERAGE_POOL_2D", "CONV_2D", "FULLY_CONNECTED"])
def test_activations_and_ranges(tmp_path: Path, kind: str, range_: Grid, activation: int, dtype: str) -> None:
    lowest = int(np.iinfo(dtype).min)
    result = (range_[0], range_[1] + lowest)
    source = result if kind == "AVERAGE_POOL_2D" else (0.1, 100 + lowest)
    path = tmp_path / "one.tflite"
    path.write_bytes(file_of(kind, dtype, source, result, activation=activation))
    integers = random_integers(kind, dtype)
    (index,) = read_tflite(path).outputs
    wanted = numbers(judged(path, *integers)[index], result)
    network = converters.read_network([path])
    for precision, maximum in (("float32", 1.01), ("int8", 1e-3)):
        (found,) = computed(network, [numbers(x, source) for x in integers], precision)
        assert np.abs(found - wanted).max() <= maximum * result[0]


def activation_of_convolution(tmp_path: Path, result: Grid, activation: int) -> dict[str, Any] | None:
    path = tmp_path / "one.tflite"
    path.write_bytes(file_of("CONV_2D", "uint8", (0.1, 100), result, activation=activation))
    (node,) = converters.read_network([path]).to_dict()["nodes"]
    found: dict[str, Any] | None = node.get("activation")
    return found


def test_limits_are_the_plainest_activation(tmp_path: Path) -> None:
    """A limit that cuts off at most half a step is left out, and one within half a step of 6 becomes ReLU6."""
    relu6 = {"kind": "relun", "a": 0.0, "b": 6.0, "c": 0.0}
    assert activation_of_convolution(tmp_path, (6.0 / 255, 0), 0) == relu6
    for activation in (1, 3):
        assert activation_of_convolution(tmp_path, (5.99 / 255, 0), activation) == relu6
    found = activation_of_convolution(tmp_path, (5.9 / 255, 0), 3)
    assert found is not None
    assert (found["kind"], found["a"], found["b"]) == ("relun", 0.0, pytest.approx(5.9))
    found = activation_of_convolution(tmp_path, (0.1, 100), 3)
    assert found == relu6
    found = activation_of_convolution(tmp_path, (0.1, 100), 1)
    assert found is not None
    assert (found["kind"], found["b"]) == ("relun", pytest.approx(15.5))


BOUNDED = [
    *(
        (kind, "wider")
        for kind in ("ABS", "ADD", "CONCATENATION", "GELU", "HARD_SWISH", "MEAN", "QUANTIZE", "SUB")
    ),
    *((kind, "cut on both sides") for kind in ("LOGISTIC", "SOFTMAX", "TANH")),
]


@pytest.mark.parametrize(("kind", "name"), BOUNDED)
def test_ranges_that_cannot_cut_limit_nothing(tmp_path: Path, kind: str, name: str) -> None:
    """No layer clips if the range contains all results, or ends one step below 1 as for sigmoids and probabilities."""
    path = tmp_path / "one.tflite"
    dtype = "uint8" if kind == "CONCATENATION" else "int8"
    path.write_bytes(file_of(kind, dtype, *grids(kind, dtype, name)))
    network = converters.read_network([path])
    kinds = [node["attributes"]["kind"] for node in neurons(network)]
    assert not {"clamp", "relun", "relu"} & set(kinds)
    assert all(node.get("activation") is None for node in network.to_dict()["nodes"])


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("kind", CHOICES)
def test_choices(tmp_path: Path, kind: str, dtype: str) -> None:
    """LiteRT copies the chosen integers, which represent other numbers if the result has another scale."""
    lowest = int(np.iinfo(dtype).min)
    source, result = (0.1, 100 + lowest), (0.05, 60 + lowest)
    tensors = [
        constant("chosen", np.arange(8).reshape(1, 1, 1, 8) % 3 == 0, "bool"),
        *(quantized(Tensor(name, (1, 1, 1, 8), dtype), [source[0]], [source[1]]) for name in "ab"),
        quantized(Tensor("y", (1, 1, 1, 8), dtype), [result[0]], [result[1]]),
    ]
    path = tmp_path / "one.tflite"
    operator = Operator(CODES[kind], [0, 1, 2], [3], CHOICES[kind])
    path.write_bytes(write_tflite(tensors, [operator], [1, 2], [3]))
    draw = np.random.default_rng(0)
    given = [draw.integers(lowest, lowest + 256, (1, 1, 1, 8)).astype(dtype) for _ in range(2)]
    (found,) = computed(converters.read_network([path]), [numbers(x, source) for x in given])
    np.testing.assert_allclose(found, numbers(judged(path, *given)[3], result), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("border", [0, 77, 255])
def test_borders_of_a_number(tmp_path: Path, border: int, dtype: str) -> None:
    lowest = int(np.iinfo(dtype).min)
    source, result = (0.1, 100 + lowest), (0.05, 60 + lowest)
    tensors = [
        quantized(Tensor("x", X, dtype), [source[0]], [source[1]]),
        constant("sides", [[0, 0], [1, 1], [2, 0], [0, 0]], "int32"),
        quantized(constant("border", np.array([border + lowest]), dtype), [result[0]], [result[1]]),
        quantized(Tensor("y", (1, 6, 8, 8), dtype), [result[0]], [result[1]]),
    ]
    path = tmp_path / "one.tflite"
    operator = Operator(CODES["PADV2"], [0, 1, 2], [3], 43, version=1 if dtype == "uint8" else 2)
    path.write_bytes(write_tflite(tensors, [operator], [0], [3]))
    x = np.random.default_rng(0).integers(lowest, lowest + 256, X).astype(dtype)
    wanted = numbers(judged(path, x)[3], result)
    network = converters.read_network([path])
    for precision in ("float32", "int8"):
        (found,) = computed(network, [numbers(x, source)], precision)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def a_chain(tmp_path: Path, output: Grid) -> Path:
    """Write a file of a convolution, a transpose, a reshape and a requantisation. Both ends clip to their ranges."""
    weights = np.random.default_rng(0).integers(0, 256, (8, 1, 1, 8))
    tensors = [
        quantized(Tensor("x", X, "uint8"), [0.1], [100]),
        quantized(constant("weights", weights, "uint8"), [0.01], [128]),
        quantized(constant("biases", np.zeros(8), "int32"), [0.001], [0]),
        quantized(Tensor("convolved", X, "uint8"), [6.0 / 255], [0]),
        constant("order", [0, 3, 1, 2], "int32"),
        quantized(Tensor("turned", (1, 8, 4, 6), "uint8"), [6.0 / 255], [0]),
        constant("shape", [1, 192], "int32"),
        quantized(Tensor("flat", (1, 192), "uint8"), [0.05], [30]),
        quantized(Tensor("result", (1, 192), "uint8"), [output[0]], [output[1]]),
    ]
    window = [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1), (4, "Int32", 1), (5, "Int32", 1)]
    operators = [
        Operator(CODES["CONV_2D"], [0, 1, 2], [3], 1, window),
        Operator(CODES["TRANSPOSE"], [3, 4], [5], 26),
        Operator(CODES["RESHAPE"], [5, 6], [7], 17),
        Operator(CODES["QUANTIZE"], [7], [8], 89),
    ]
    path = tmp_path / "chain.tflite"
    path.write_bytes(write_tflite(tensors, operators, [0], [8]))
    return path


@pytest.mark.parametrize("output", [(0.05, 30), (0.03, 0), (0.02, 100)])
def test_a_chain_of_operators(tmp_path: Path, output: Grid) -> None:
    path = a_chain(tmp_path, output)
    x = np.random.default_rng(1).integers(0, 256, X).astype(np.uint8)
    wanted = numbers(judged(path, x)[8], output)
    network = converters.read_network([path])
    given = [numbers(x, (0.1, 100))]
    np.testing.assert_allclose(computed(network, given, "int8")[0], wanted, rtol=1e-5, atol=1e-6)
    # RESHAPE copies integers, and its result has about twice the step of its operand. So rounding errors double.
    assert np.abs(computed(network, given)[0] - wanted).max() <= 0.05 + output[0]


def test_numbers_that_become_integers_are_limited(tmp_path: Path) -> None:
    tensors = [Tensor("x", X), quantized(Tensor("integers", X, "int8"), [0.1], [-28]), Tensor("y", X)]
    operators = [
        Operator(CODES["QUANTIZE"], [0], [1], 89),
        Operator(CODES["DEQUANTIZE"], [1], [2], version=2),
    ]
    path = tmp_path / "ends.tflite"
    path.write_bytes(write_tflite(tensors, operators, [0], [2]))
    x = np.random.default_rng(0).uniform(-30, 30, X).astype(np.float32)
    (found,) = computed(converters.read_network([path]), [x])
    assert np.abs(found - judged(path, x)[2]).max() <= 0.0501


def test_limits_behind_a_layer_are_no_step_among_integers(tmp_path: Path) -> None:
    """A hard swish gets a layer that clips. Integers are clipped anyway, so it is no step of its own there."""
    path = tmp_path / "one.tflite"
    path.write_bytes(file_of("HARD_SWISH", "int8", (0.1, -28), (0.03, -100)))
    network = converters.read_network([path])
    assert [node["attributes"]["kind"] for node in neurons(network)] == ["hard_swish", "clamp"]
    again = network.layer("pooling", [network.outputs[0]], {"kind": "max"}, name="again")
    network.quantize(again, "int8", 0.03, -100)
    program = network.subgraph(["again"]).compile(device="cpu", precision="int8")
    steps = program.explain((1, *X[1:])).steps
    assert not any(
        layer.endswith("/limits") and len(step.layers) == 1 for step in steps for layer in step.layers
    )


def test_activations_of_which_integers_end_early_are_recognised() -> None:
    """Layers get the library's names if limits of integers replace their activations, and keep these limits."""
    network = mpscnn.models.mobilenet_v1(depth_multiplier=0.25, input_size=64)
    network.initialize_weights(0)
    structure = network.to_dict()
    others = {node["name"]: f"other{i}" for i, node in enumerate(structure["nodes"])}
    for node in structure["nodes"]:
        if node["operation"] == "convolution":
            low = 0.0 if node.get("activation") else -20.0
            high = 5.0 if node.get("activation") else 30.0
            step = (high - low) / 255.0
            node["activation"] = {"kind": "clamp", "a": low, "b": high}
            if low == 0.0:
                node["activation"] = {"kind": "relun", "a": 0.0, "b": high}
            node["quantization"] = {"type": "uint8", "scale": step, "zero_point": round(-low / step)}
        node["name"], node["inputs"] = others[node["name"]], [others.get(x, x) for x in node["inputs"]]
    structure["outputs"] = [others[name] for name in structure["outputs"]]
    foreign = network.restructured(structure, others)
    named = with_library_names(foreign)
    assert named.layer_names() == network.layer_names()
    x = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_array_equal(computed(named, [x])[0], computed(foreign, [x])[0])
