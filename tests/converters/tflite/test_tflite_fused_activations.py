"""Compare all fused activations of all TensorFlow Lite operators that may have one with LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.quantized_ranges import CASES, FLOAT_CASES, Grid, file_of
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tflite import names
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.reading.tflite.operators import ROWS
from mpscnn.converters.reading.tflite.recurrent import RECURRENT

FUSED = {kind: case for kind, case in (CASES | FLOAT_CASES).items() if case.activation is not None}
COMPUTED = ["NONE", "RELU", "RELU_N1_TO_1", "RELU6"]
LEFT_OUT = ["TANH", "SIGN_BIT", "activation 6"]
#: LiteRT computes these operators only without an activation.
PLAIN = {"CONCATENATION", "L2_NORMALIZATION"}
#: For these operators LiteRT refuses unknown activations; for others it ignores them.
STRICT = {*PLAIN, "FULLY_CONNECTED"}
#: mpscnn computes these in floats rather than in integers.
FLOATS = {"DIV", "L2_NORMALIZATION", "TRANSPOSE_CONV"}


def number(activation: str) -> int:
    known = names.ENUMERATIONS["activation"]
    return known.index(activation) if activation in known else int(activation.split()[1])


def grids(kind: str, dtype: str) -> tuple[Grid, Grid]:
    """Return scale and zero point of the operands, and of the result, whose range is wider than all activations."""
    lowest = 0 if dtype == "uint8" else -128
    source = (0.1, 100 + lowest)
    return source, (1 / 128, 128 + lowest) if kind == "L2_NORMALIZATION" else source


def operands(kind: str, dtype: str) -> list[NDArray[np.float32]]:
    """Return random operands. Divisors are not near 0, where LiteRT's divisions of uint8 overflow."""
    draw, step = np.random.default_rng(3), grids(kind, dtype)[0][0]
    made = [draw.integers(-100, 156, shape) for shape in FUSED[kind].inputs]
    if kind == "DIV":
        made[1] = draw.integers(5, 50, made[1].shape)
    return [(integers * step).astype(np.float32) for integers in made]


def answer(path: Path, kind: str, dtype: str) -> NDArray[np.float32]:
    """Return the numbers that LiteRT computes. Raises RuntimeError if LiteRT refuses the file."""
    (step, zero), result = grids(kind, dtype)
    given = operands(kind, dtype)
    (index,) = read_tflite(path).outputs
    if dtype == "float32":
        return judged(path, *given)[index]
    integers = [np.rint(x / np.float32(step) + zero).astype(dtype) for x in given]
    found = judged(path, *integers)[index].astype(np.int64)
    return ((found - result[1]) * np.float32(result[0])).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fused.tflite"


def write(path: Path, kind: str, dtype: str, activation: str) -> None:
    path.write_bytes(file_of(kind, dtype, *grids(kind, dtype), activation=number(activation)))


ALL = [
    (kind, dtype)
    for kind in FUSED
    for dtype in ("float32", "uint8", "int8")
    if dtype == "float32" or kind not in FLOAT_CASES
]


def test_every_operator_that_takes_an_activation_has_a_case() -> None:
    """Operators with an activation are those whose options in the schema have this field, except recurrent layers."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs ai-edge-litert")
    with_field = {
        getattr(schema.BuiltinOptions, options)
        for options in dir(schema.BuiltinOptions)
        if hasattr(getattr(schema, options, None), "FusedActivationFunction")
    }
    fused = {kind for kind, case in (CASES | FLOAT_CASES).items() if case.options[0] in with_field}
    assert fused == set(FUSED)
    without_case = set(ROWS) - set(CASES) - set(FLOAT_CASES) - set(RECURRENT)
    assert not {
        name.removesuffix("Options").lower()
        for name in dir(schema)
        if hasattr(getattr(schema, name), "FusedActivationFunction")
    } & {kind.replace("_", "").lower() for kind in without_case}


@pytest.mark.parametrize("activation", COMPUTED)
@pytest.mark.parametrize(("kind", "dtype"), ALL)
def test_limits(path: Path, kind: str, dtype: str, activation: str) -> None:
    write(path, kind, dtype, activation)
    if kind in PLAIN and activation != "NONE":
        with pytest.raises(RuntimeError, match="activation"):
            answer(path, kind, dtype)
        with pytest.raises(mpscnn.UnsupportedError, match=f"is '{activation}'; supported is NONE"):
            converters.read_network([path])
        return
    wanted, step = answer(path, kind, dtype), grids(kind, dtype)[1][0]
    network = converters.read_network([path])
    in_floats = network.compile(device="cpu", precision="float32").session().run(operands(kind, dtype))
    if dtype == "float32":
        np.testing.assert_allclose(in_floats, wanted, rtol=2e-5, atol=1e-6)
        return
    assert np.abs(in_floats - wanted).max() <= 1.01 * step
    if kind in FLOATS:
        return
    found = network.compile(device="cpu", precision="int8").session().run(operands(kind, dtype))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("activation", LEFT_OUT)
@pytest.mark.parametrize(("kind", "dtype"), ALL)
def test_what_litert_leaves_out_is_refused(path: Path, kind: str, dtype: str, activation: str) -> None:
    """LiteRT ignores these activations or refuses the file. mpscnn always refuses the file."""
    write(path, kind, dtype, "NONE")
    plain = answer(path, kind, dtype)
    write(path, kind, dtype, activation)
    if activation != "activation 6" and kind in STRICT:
        with pytest.raises(RuntimeError, match="activation"):
            answer(path, kind, dtype)
    else:
        np.testing.assert_array_equal(answer(path, kind, dtype), plain)
    with pytest.raises(mpscnn.UnsupportedError, match=f"its fused_activation_function is '{activation}'"):
        converters.read_network([path])
