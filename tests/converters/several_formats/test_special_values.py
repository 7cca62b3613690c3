"""Compare elementwise functions of zeros, infinities, NaN, tiny and huge numbers with each format's own engine.

Signs of zeros are not compared, because this package's functions do not keep them. Signs of infinities that functions
make of zeros are compared.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import Array, model, node, nodes_of, read, run_here, run_there
from converters.tflite_writer import CODES, Operator, Tensor, constant, write_tflite
from exact_engines import litert_results

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.onnx.arithmetic import ARITHMETIC_OF_TENSORS as ARITHMETIC
from mpscnn.converters.reading.onnx.logic import LOGIC, LOGIC_OF_TENSORS
from mpscnn.converters.reading.onnx.neurons import CAST_OF_FLOATS, NEURONS, NEURONS_OF_TENSORS
from mpscnn.converters.reading.tflite.arithmetic import ARITHMETIC as TFLITE_ARITHMETIC

VALUES = np.array(
    [
        *(0.0, -0.0, np.inf, -np.inf, np.nan, -2.5, 2.5, -1.0, 1.0, 0.5, -0.5, 1.5, -1.5, 2.0, -3.0),
        *(1e-38, -1e-38, 1e-45, -1e-45, 3e38, -3e38, 3.4028235e38, 88.9, -104.0),
    ],
    np.float32,
)[None]
COUNT = VALUES.shape[1]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, -2.0, -3.0, 1e-40, 1e38, 2.5]


def assert_same(found: Array, wanted: Array) -> None:
    """Assert that NaN and infinities are equal, and numbers as near as float32 functions are."""
    np.testing.assert_allclose(found.reshape(-1), wanted.reshape(-1), rtol=1e-5, atol=1e-37)


# ---- ONNX ----------------------------------------------------------------------------------------------------------

# These have another number of operands or results, or operands that are no numbers.
OTHERS = {"Not", "Where", "And", "Or", "Xor", "Mean", "PRelu", "Clip"}
# onnxruntime does not have these.
UNKNOWN_THERE = {"Swish", CAST_OF_FLOATS}
OPSETS = {"Gelu": 20, "Mish": 18, "HardSwish": 17}


def agrees(nodes: list[Any], constants: dict[str, Any] | None = None, opset: int = 17) -> None:
    made = model(nodes, {"x": [1, COUNT]}, constants, opset=opset)
    (found,) = run_here(read(made), [VALUES])
    assert_same(found, run_there(made, {"x": VALUES})[0])


@pytest.mark.parametrize("kind", sorted({*NEURONS, *NEURONS_OF_TENSORS} - OTHERS - UNKNOWN_THERE))
def test_onnx_functions(kind: str) -> None:
    """Fewer digits are compared for functions that onnxruntime computes more coarsely."""
    if kind == "Gelu":
        made = model([node(kind, ["x"])], {"x": [1, COUNT]}, opset=20)
        (found,) = run_here(read(made), [VALUES])
        np.testing.assert_allclose(found, run_there(made, {"x": VALUES})[0], rtol=1e-5, atol=1e-6)
        return
    agrees([node(kind, ["x"])], opset=OPSETS.get(kind, 17))


def test_onnx_inverse_root() -> None:
    """The root of -0 is -0, and so its reciprocal is minus infinity."""
    agrees(nodes_of("r = Sqrt(x); y = Reciprocal(r)"))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", sorted(set(ARITHMETIC) - OTHERS))
def test_onnx_arithmetic_with_a_number(kind: str, number: float, first: bool) -> None:
    agrees([node(kind, ["k", "x"] if first else ["x", "k"])], {"k": np.float32(number)})


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", sorted(set(ARITHMETIC) - OTHERS))
def test_onnx_arithmetic_with_numbers(kind: str, first: bool) -> None:
    numbers = np.resize(np.float32(NUMBERS), COUNT)
    agrees([node(kind, ["k", "x"] if first else ["x", "k"])], {"k": numbers})


@pytest.mark.parametrize("kind", sorted(ARITHMETIC))
def test_onnx_arithmetic_of_two_tensors(kind: str) -> None:
    for other in (np.roll(VALUES, 1), np.roll(VALUES, 3), VALUES):
        made = model([node(kind, ["x", "z"])], {"x": [1, COUNT], "z": [1, COUNT]})
        (found,) = run_here(read(made), [VALUES, other])
        wanted = run_there(made, {"x": VALUES, "z": other})[0]
        if kind == "Pow":  # here NaN stays NaN: the layer's definition, not the reader's
            wanted = np.where(np.isnan(VALUES) | np.isnan(other), np.float32(np.nan), wanted)
        assert_same(found, wanted)


@pytest.mark.parametrize("number", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("kind", sorted({*LOGIC, *LOGIC_OF_TENSORS} - OTHERS))
def test_onnx_comparisons(kind: str, number: float) -> None:
    operands = ["x"] if kind == "IsNaN" else ["x", "k"]
    agrees([node(kind, operands, "b"), node("Cast", ["b"], to=1)], {"k": np.float32(number)})


@pytest.mark.parametrize("kind", ["And", "Or", "Xor", "Not"])
def test_onnx_truths(kind: str) -> None:
    operands = ["t"] if kind == "Not" else ["t", "g"]
    nodes = [node("Cast", ["x"], "t", to=9), node("Greater", ["x", "k"], "g")]
    agrees([*nodes, node(kind, operands, "b"), node("Cast", ["b"], to=1)], {"k": np.float32(0)})


@pytest.mark.parametrize("others", [0.0, -2.0])
@pytest.mark.parametrize("first", [False, True])
def test_onnx_choices(first: bool, others: float) -> None:
    """Where one choice is taken, the numbers of the other one have no influence."""
    choices = ["x", "o"] if first else ["o", "x"]
    nodes = [node("Greater", ["x", "k"], "g"), node("Where", ["g", *choices])]
    agrees(nodes, {"k": np.float32(0), "o": np.full(COUNT, others)})


@pytest.mark.parametrize("kind", ["PRelu", "Clip"])
def test_onnx_functions_with_constants(kind: str) -> None:
    if kind == "PRelu":
        agrees([node(kind, ["x", "s"])], {"s": np.linspace(-1, 1, COUNT)})
    else:
        agrees([node(kind, ["x", "a", "b"])], {"a": np.float32(-1), "b": np.float32(2)})


REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"]


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_onnx_reductions(kind: str) -> None:
    """Each number is reduced together with a copy of itself, so that no other number has an influence."""
    nodes = [
        *nodes_of("u = Unsqueeze(x, axis); v = Mul(u, one); w = Concat<axis=2>(u, v)"),
        node(f"Reduce{kind}", ["w"], axes=[2], keepdims=0),
    ]
    agrees(nodes, {"axis": np.array([2]), "one": np.float32(1)})


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------

# These have options, two operands, or integers.
WITH_OPTIONS = {"LEAKY_RELU", "GELU", "FAKE_QUANT", "ADD_N", "PRELU", "FLOOR_MOD"}
# Infinite angles have no sine, and here a large one is a rest of a division, which is less exact.
PERIODIC = {"COS", "SIN"}
# Expected are numpy's results: LiteRT's kernels give the largest float for an infinite sum, and numbers for NaN.
TWO: dict[str, Callable[[Array, Array], Array]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "DIV": np.divide,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "POW": np.power,
    "SQUARED_DIFFERENCE": lambda a, b: (a - b) * (a - b),
    "FLOOR_DIV": lambda a, b: np.floor(a / b),
}
# Expected are numpy's results: LiteRT has only one kernel for each of these, which takes the smallest numbers for 0.
ONE: dict[str, Callable[[Array], Array]] = {
    "CEIL": np.ceil,
    "ELU": lambda x: np.where(x < 0.0, np.expm1(np.minimum(x, 0.0)), x),
    "ROUND": np.rint,
}


def tflite_file(kind: str, operands: list[Any]) -> bytes:
    """Return a file of one operator. `operands` are None for the input, and numbers for a constant."""
    tensors, inputs = [Tensor("x", (1, COUNT)), Tensor("y", (1, COUNT))], []
    for operand in operands:
        inputs.append(0 if operand is None else len(tensors))
        if operand is not None:
            tensors.append(constant(f"c{len(tensors)}", np.asarray(operand)))
    return write_tflite(tensors, [Operator(CODES[kind], inputs, [1])], [0], [1])


def of_tflite(path: Path, content: bytes) -> Array:
    path.write_bytes(content)
    network = converters.read_network([path])
    return np.asarray(network.compile(device="cpu", precision="float32").session(threads=1).run(VALUES))


@pytest.mark.parametrize("kind", sorted(TFLITE_ARITHMETIC.keys() - TWO.keys() - WITH_OPTIONS - PERIODIC))
def test_tflite_functions(tmp_path: Path, kind: str) -> None:
    content = tflite_file(kind, [None])
    found = of_tflite(tmp_path / "x.tflite", content)
    if kind in ONE:
        assert_same(found, ONE[kind](VALUES))
        return
    (wanted,) = litert_results(content, VALUES)
    if kind == "HARD_SWISH":  # 6 times the largest number overflows
        found, wanted = (np.where(np.abs(VALUES) > 1e38, 0.0, one) for one in (found, wanted))
    assert_same(found, wanted)


def tflite_agrees_with_numpy(path: Path, kind: str, other: Array, *, first: bool) -> None:
    found = of_tflite(path, tflite_file(kind, [other, None] if first else [None, other]))
    each = np.broadcast_to(other, VALUES.shape).copy()  # for a single exponent 0.5 numpy takes the root
    operands = (each, VALUES) if first else (VALUES, each)
    with np.errstate(all="ignore"):
        assert_same(found, TWO[kind](*operands))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", TWO)
def test_tflite_arithmetic_with_a_number(tmp_path: Path, kind: str, number: float, first: bool) -> None:
    tflite_agrees_with_numpy(tmp_path / "x.tflite", kind, np.float32([number]), first=first)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", sorted(TWO.keys() - {"POW"}))
def test_tflite_arithmetic_with_numbers(tmp_path: Path, kind: str, first: bool) -> None:
    other = np.resize(np.float32(NUMBERS), COUNT)[None]
    tflite_agrees_with_numpy(tmp_path / "x.tflite", kind, other, first=first)


# ---- Keras ---------------------------------------------------------------------------------------------------------

KERAS: dict[str, Any] = {
    "absolute": lambda x, ops: ops.absolute(x),
    "negative": lambda x, ops: ops.negative(x),
    "sqrt": lambda x, ops: ops.sqrt(x),
    "square": lambda x, ops: ops.square(x),
    "number / x": lambda x, _: 3.0 / x,
    "0 / x": lambda x, _: 0.0 / x,
    "x / number": lambda x, _: x / 3.0,
    "x * number": lambda x, _: x * -2.0,
    "number - x": lambda x, _: 2.0 - x,
    "x + number": lambda x, _: x + 2.0,
    "x / x": lambda x, ops: ops.relu(x) / ops.relu(x),
    "maximum": lambda x, ops: ops.maximum(x, ops.negative(x)),
    "minimum": lambda x, ops: ops.minimum(x, ops.negative(x)),
    "relu": lambda x, ops: ops.relu(x),
    "relu6": lambda x, ops: ops.relu6(x),
    "sigmoid": lambda x, ops: ops.sigmoid(x),
    "silu": lambda x, ops: ops.silu(x),
    "tanh": lambda x, ops: ops.tanh(x),
    "exp": lambda x, ops: ops.exp(x),
    "selu": lambda x, ops: ops.selu(x),
    "softplus": lambda x, ops: ops.softplus(x),
    "softsign": lambda x, ops: ops.softsign(x),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KERAS)
def test_keras_functions(tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch, on which Keras runs here, is not installed")
    os.environ["KERAS_BACKEND"] = "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras", reason="Keras is not installed")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras was imported before with another backend than torch")
    x = keras.Input((COUNT,))
    made = keras.Model(x, KERAS[name](x, keras.ops))
    path = tmp_path / "x.keras"
    made.save(path)
    network = converters.read_network([path])
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(VALUES)
    assert_same(np.asarray(found), made(VALUES).detach().numpy())


def test_infinite_limits_are_not_supported() -> None:
    for kind, limit in (("Max", np.inf), ("Min", -np.inf)):
        with pytest.raises(mpscnn.UnsupportedError, match="nothing but an infinity"):
            read(model([node(kind, ["x", "k"])], {"x": [1, 4]}, {"k": np.float32(limit)}))
