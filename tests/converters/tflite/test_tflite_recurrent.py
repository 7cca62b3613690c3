"""Compare TensorFlow Lite's recurrent layers, and inputs without a batch, with LiteRT's reference kernels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.tflite_writer import CODES, Field, Operator, Tensor, constant, quantized, write_tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiers import with_full

import mpscnn
from mpscnn import converters
from mpscnn.errors import UnsupportedError

Numbers = NDArray[np.float32]


class Random:
    """Random numbers that depend only on a seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self._random.integers(low, high + 1))

    def numbers(self, *shape: int) -> Numbers:
        return self._random.normal(0.0, 0.7, shape).astype(np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recurrent") / "one.tflite"


def compare(
    path: Path, tensors: list[Tensor], operators: list[Operator], inputs: list[Numbers]
) -> mpscnn.Network:
    """Check that mpscnn's and LiteRT's results agree, and return the network.

    The first tensors are the inputs, and the last one is the result.
    """
    path.write_bytes(write_tflite(tensors, operators, list(range(len(inputs))), [len(tensors) - 1]))
    network = converters.read_network([path])
    session = network.compile(device="cpu", precision="float32").session(threads=1)
    given = [
        x.astype(np.float32).reshape(1 if tensor.shape[1:] == x.shape else len(x), *tensor.shape[1:])
        for x, tensor in zip(inputs, network.inputs, strict=True)
    ]
    wanted = judged(path, *inputs)[len(tensors) - 1]
    np.testing.assert_allclose(np.reshape(session.run(given), wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    return network


def lstm(
    random: Random, activation: int, *, time_major: bool
) -> tuple[list[Tensor], list[Operator], list[Numbers]]:
    images, steps, features, units = (random.integer(1, 4) for _ in range(4))
    x = random.numbers(*((steps, images) if time_major else (images, steps)), features)
    tensors = [Tensor("x", x.shape)]
    tensors += [constant(f"input{gate}", random.numbers(units, features)) for gate in range(4)]
    tensors += [constant(f"state{gate}", random.numbers(units, units)) for gate in range(4)]
    tensors += [constant(f"bias{gate}", random.numbers(units)) for gate in range(4)]
    tensors += [Tensor(name, (images, units), is_variable=True) for name in ("hidden", "cell")]
    tensors.append(Tensor("result", (*x.shape[:2], units)))
    places = [*range(9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14]
    options = [(0, "Int8", activation), (3, "Bool", time_major)]
    operator = Operator(CODES["UNIDIRECTIONAL_SEQUENCE_LSTM"], places, [15], 71, options)
    return tensors, [operator], [x]


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("activation", [1, 4], ids=["relu", "tanh"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_lstm(path: Path, activation: int, time_major: bool, seed: int) -> None:
    network = compare(path, *lstm(Random(seed), activation, time_major=time_major))
    assert (
        network.notes[-1] == "the states of its recurrent layers begin with zeros in each run" or time_major
    )


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_a_step_of_svdf(path: Path, seed: int) -> None:
    random = Random(seed)
    images, size, units, rank, memory = (random.integer(1, 5) for _ in range(5))
    x = random.numbers(images, size)
    tensors = [
        Tensor("x", x.shape),
        constant("features", random.numbers(units * rank, size)),
        constant("time", random.numbers(units * rank, memory)),
        constant("bias", random.numbers(units)),
        Tensor("state", (images, units * rank * memory), is_variable=True),
        Tensor("result", (images, units)),
    ]
    options = [(0, "Int32", rank), (1, "Int8", random.integer(0, 1))]
    compare(path, tensors, [Operator(CODES["SVDF"], [0, 1, 2, 3, 4], [5], 6, options)], [x])


def test_what_is_refused(path: Path) -> None:
    tensors, (operator,), _ = lstm(Random(0), 4, time_major=False)
    for place, message in ((1, "coupled gates"), (9, "peepholes"), (16, "a projection")):
        places = list(operator.inputs)
        places[place] = -1 if place == 1 else 3
        changed = Operator(operator.code, places, operator.outputs, operator.options_type, operator.options)
        path.write_bytes(write_tflite(tensors, [changed], [0], [15]))
        with pytest.raises(mpscnn.UnsupportedError, match=f"with {message} it is not supported"):
            converters.read_network([path])


# ---- Integers ----------------------------------------------------------------------------------------------


def integers(random: Random, name: str, shape: tuple[int, ...], scale: float, dtype: str = "int8") -> Tensor:
    """Return weights in integers of all magnitudes."""
    maximum = {"int8": 127, "int16": 32767, "int32": 5000}[dtype]
    numbers = [random.integer(-maximum, maximum) for _ in range(math.prod(shape))]
    return quantized(constant(name, np.reshape(numbers, shape), dtype), [scale], [0])


def compare_integers(path: Path, tensors: list[Tensor], operator: Operator, steps: float, seed: int) -> None:
    """Check that float32 results differ by at most `steps` from LiteRT's integers, and that int8 refuses the layer."""
    (result,) = operator.outputs
    path.write_bytes(write_tflite(tensors, [operator], [0], [result]))
    x = np.random.default_rng(seed).integers(-128, 128, tensors[0].shape).astype(np.int8)
    (source, zero), (scale, middle) = (
        (np.float32(scales[0]), zeros[0])
        for scales, zeros in (tensors[place].quantization or ([], []) for place in (0, result))
    )
    network = converters.read_network([path])
    found = network.compile(device="cpu", precision="float32").session().run((x - np.float32(zero)) * source)
    wanted = judged(path, x)[result]
    assert np.ptp(wanted.astype(int)) > 8 * steps
    numbers = np.clip(np.asarray(found) / scale + middle, -128, 127)
    np.testing.assert_allclose(numbers.reshape(wanted.shape), wanted, rtol=0, atol=steps)
    with pytest.raises(mpscnn.Error, match=r"layer 'result.*int8"):
        network.compile(device="cpu", precision="int8")


@pytest.mark.parametrize("seed", with_full(range(3), range(3, 50)))
def test_lstm_of_integers(path: Path, seed: int) -> None:
    """LiteRT rounds the hidden state to int8, and the cell state and the gates to int16."""
    random = Random(seed)
    images, steps, features, units = 2, 5, random.integer(2, 4), random.integer(2, 4)
    tensors = [quantized(Tensor("x", (images, steps, features), "int8"), [0.02], [3])]
    tensors += [integers(random, f"input{gate}", (units, features), 0.01) for gate in range(4)]
    tensors += [integers(random, f"state{gate}", (units, units), 0.005) for gate in range(4)]
    tensors += [integers(random, f"bias{gate}", (units,), 0.01 * 0.02, "int32") for gate in range(4)]
    hidden, cell = (Tensor(name, (images, units), is_variable=True) for name in ("hidden", "cell"))
    hidden.dtype, cell.dtype = "int8", "int16"
    tensors += [quantized(hidden, [1 / 128], [0]), quantized(cell, [2.0**-11], [0])]
    tensors.append(quantized(Tensor("result", (images, steps, units), "int8"), [1 / 128], [0]))
    tensors += [quantized(Tensor(f"sum{gate}", (1,), "int16"), [2.0**-12], [0]) for gate in range(4)]
    tensors.append(quantized(Tensor("unprojected", (1,), "int8"), [1 / 128], [0]))
    places = [*range(9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14]
    options: list[Field] = [(0, "Int8", 4), (3, "Bool", False)]
    code = CODES["UNIDIRECTIONAL_SEQUENCE_LSTM"]
    operator = Operator(code, places, [15], 71, options, version=3, intermediates=range(16, 21))
    compare_integers(path, tensors, operator, 2.0, seed)


@pytest.mark.parametrize("seed", with_full(range(3), range(3, 50)))
def test_svdf_of_integers(path: Path, seed: int) -> None:
    """LiteRT computes SVDF only with ReLU. The limit 0 is the smallest integer of the result's type."""
    random = Random(seed)
    images, size, units, rank, memory = 16, *(random.integer(2, 5) for _ in range(4))
    tensors = [
        quantized(Tensor("x", (images, size), "int8"), [0.05], [3]),
        integers(random, "features", (units * rank, size), 0.02),
        integers(random, "time", (units * rank, memory), 2.0**-15, "int16"),
        integers(random, "bias", (units,), 0.01 * 2.0**-15, "int32"),
        quantized(Tensor("state", (images, units * rank * memory), "int16", is_variable=True), [0.01], [0]),
        quantized(Tensor("result", (images, units), "int8"), [0.2], [-128]),
    ]
    options: list[Field] = [(0, "Int32", rank), (1, "Int8", 1)]
    operator = Operator(CODES["SVDF"], [0, 1, 2, 3, 4], [5], 6, options, version=3)
    compare_integers(path, tensors, operator, 0.75, seed)


@pytest.mark.parametrize("kind", ["LSTM", "SVDF"])
def test_weights_of_8_bits_and_floats(path: Path, kind: str) -> None:
    """LiteRT rounds the floats to 8 bits at each step, so its results are less exact."""
    random = Random(3)
    if kind == "LSTM":
        tensors, (operator,), (x,) = lstm(random, 4, time_major=False)
        for place in range(1, 9):
            tensors[place] = integers(random, tensors[place].name, tensors[place].shape, 0.01)
    else:
        x = random.numbers(2, 4)
        tensors = [
            Tensor("x", x.shape),
            integers(random, "features", (6, 4), 0.02),
            integers(random, "time", (6, 3), 0.01),
            constant("bias", random.numbers(3)),
            Tensor("state", (2, 18), is_variable=True),
            Tensor("result", (2, 3)),
        ]
        options: list[Field] = [(0, "Int32", 2), (1, "Int8", 0)]
        operator = Operator(CODES["SVDF"], [0, 1, 2, 3, 4], [5], 6, options)
    operator.version = 2
    (result,) = operator.outputs
    path.write_bytes(write_tflite(tensors, [operator], [0], [result]))
    network = converters.read_network([path])
    found = np.asarray(network.compile(device="cpu", precision="float32").session().run(x))
    wanted = judged(path, x)[result]
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=0.02 * np.abs(wanted).max())
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer 'result.*int8"):
        network.compile(device="cpu", precision="int8")


# ---- Inputs without a batch --------------------------------------------------------------------------------


def reshape(shape: list[int], source: int, setting: int, result: int) -> tuple[Tensor, Operator, Tensor]:
    made = constant(f"shape{result}", shape, "int32")
    return (
        made,
        Operator(CODES["RESHAPE"], [source, setting], [result], 17),
        Tensor(f"y{result}", tuple(shape)),
    )


@pytest.mark.parametrize(
    ("given_shape", "shape"),
    [((6,), [1, 6]), ((4, 3), [1, 12]), ((4, 6), [2, 12]), ((2, 2, 6), [1, 24])],
    ids=str,
)
def test_inputs_without_a_batch(path: Path, given_shape: tuple[int, ...], shape: list[int]) -> None:
    """A reshape before a dense layer makes the batch from the first axis, by dividing it or joining it with others."""
    random = Random(5)
    setting, operator, made = reshape(shape, 0, 1, 2)
    tensors: list[Any] = [
        Tensor("x", given_shape),
        setting,
        made,
        constant("weight", random.numbers(5, shape[1])),
        Tensor("result", (shape[0], 5)),
    ]
    dense = Operator(CODES["FULLY_CONNECTED"], [2, 3], [4], 8)
    network = compare(path, tensors, [operator, dense], [random.numbers(*given_shape)])
    assert network.inputs[0].shape == (None, *given_shape)


def test_unsupported_layers_of_a_file_without_a_batch_are_named(path: Path) -> None:
    """The error is about the layer, and not about the missing batch."""
    tensors = [Tensor("x", (8,)), constant("length", [8], "int32"), Tensor("result", (5,))]
    operator = Operator(CODES["RFFT2D"], [0, 1], [2])
    path.write_bytes(write_tflite(tensors, [operator], [0], [2]))
    with pytest.raises(UnsupportedError, match=r"\(RFFT2D\): complex numbers are not supported"):
        converters.read_network([path])


def test_two_inputs_of_other_batches(path: Path) -> None:
    random = Random(6)
    tensors = [Tensor("x", (3, 4)), Tensor("z", (2, 3, 4)), Tensor("result", (2, 3, 4))]
    add = Operator(CODES["ADD"], [0, 1], [2], 11)
    network = compare(path, tensors, [add], [random.numbers(3, 4), random.numbers(2, 3, 4)])
    assert network.notes == ["output 'result' gets an axis for the batch, which the file leaves out"]


@pytest.mark.parametrize("kind", ["SUM", "MEAN", "REDUCE_MAX"])
def test_one_number(path: Path, kind: str) -> None:
    tensors = [Tensor("x", (1, 3, 4)), constant("axes", [0, 1, 2], "int32"), Tensor("result", ())]
    compare(path, tensors, [Operator(CODES[kind], [0, 1], [2], 27)], [Random(7).numbers(1, 3, 4)])
