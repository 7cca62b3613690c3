"""Each operator of TensorFlow Lite that computes constants counts its cost first, and gives LiteRT's numbers."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.tflite_writer import Operator, Tensor, constant, write_tflite

from mpscnn import converters
from mpscnn.converters.opening import budget
from mpscnn.converters.reading.tflite.constants import Constants
from mpscnn.converters.reading.tflite.names import operator_name
from mpscnn.converters.reading.tflite.operators import ROWS
from mpscnn.converters.values.constant import Constant
from mpscnn.errors import UnsupportedError, WeightsError

FOUR, TWO, ZERO = np.arange(1, 5), np.array([2, 2]), np.array([0])
ROW, COLUMN = np.ones((1, 64), np.int64), np.arange(1, 65).reshape(64, 1)
TRUTHS = [np.array([True, False, True, False]), np.array([True, True, False, False])]
COMPARISONS = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")
ARITHMETIC = ("ADD", "DIV", "FLOOR_DIV", "MAXIMUM", "MINIMUM", "MUL", "POW", "SUB")
REDUCTIONS = ("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")
OPERANDS: dict[str, list[np.ndarray]] = {
    **{kind: [ROW, COLUMN] for kind in (*ARITHMETIC, *COMPARISONS)},
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR"), TRUTHS),
    **{kind: [FOUR, ZERO] for kind in REDUCTIONS},
    **{kind: [TRUTHS[0], ZERO] for kind in ("REDUCE_ALL", "REDUCE_ANY")},
    "ADD_N": [FOUR] * 3,
    "BROADCAST_ARGS": [FOUR, FOUR],
    "BROADCAST_TO": [FOUR, np.array([3, 4])],
    "CAST": [FOUR],
    "CONCATENATION": [FOUR] * 9,
    "DEQUANTIZE": [np.float16([1, 2])],
    "EXPAND_DIMS": [FOUR, ZERO],
    "FILL": [np.array([64, 64]), np.array(3)],
    "GATHER": [FOUR, np.zeros(64, np.int64)],
    "MEAN": [np.float32([[1, 2], [5, 8]]), ZERO],
    "PACK": [FOUR] * 9,
    "RANGE": [np.array(0), np.array(64), np.array(1)],
    "RANK": [ROW],
    "RESHAPE": [FOUR, TWO],
    "SHAPE": [ROW],
    "SLICE": [FOUR, ZERO, np.array([2])],
    "SPLIT": [ZERO[0], FOUR],
    "SPLIT_V": [FOUR, np.array([4]), ZERO[0]],
    "SQUEEZE": [ROW],
    "STRIDED_SLICE": [FOUR, ZERO, np.array([2]), np.array([1])],
    "TILE": [FOUR, np.array([2])],
    "TRANSPOSE": [COLUMN, np.array([1, 0])],
    "UNPACK": [FOUR[None]],
    "ZEROS_LIKE": [np.float32([1, 2])],
}
"""Operands of operators that compute constants."""
#: Operators that compute constants in other ways.
COMPUTED = {"COS", "DENSIFY", "QUANTIZE", "SIN"}
#: Operators whose result is stated in the file, or a view that takes no memory.
FREE = {"DEQUANTIZE", "RANK", "SHAPE"}
#: Operators for which LiteRT needs options, another version or the exact shape of the result.
UNJUDGED = {"BROADCAST_ARGS", "BROADCAST_TO", "PACK", "SHAPE", "SLICE", "SPLIT", "SPLIT_V", "UNPACK"}


def file_of(kind: str, operands: list[np.ndarray] | None = None) -> bytes:
    """Return a file with an operator of constants, whose result is not used."""
    given = OPERANDS[kind] if operands is None else operands
    number = next(number for number in range(200) if operator_name(number) == kind)
    types = {"f": "float32", "b": "bool", "i": "int32"}
    made = {**dict.fromkeys(COMPARISONS, "bool"), "CAST": "float32"}.get(kind) or types[
        given[-1 if kind == "SPLIT" else 0].dtype.kind
    ]
    tensors = [Tensor("x", (1, 4)), Tensor("y", (1, 4)), Tensor("result", (4,), made)]
    for place, values in enumerate(given):
        kept = "float16" if values.dtype == np.float16 else types[values.dtype.kind]
        tensors.append(constant(f"c{place}", values, kept))
    operators = [Operator(number, range(3, len(tensors)), [2]), Operator(19, [0], [1])]
    return write_tflite(tensors, operators, [0], [1])


@pytest.mark.parametrize(
    "kind", sorted({one for one in ROWS if "CUSTOM" not in one} - {*OPERANDS, *COMPUTED})
)
def test_other_operators_refuse_constants(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(file_of(kind, [np.float32([[1, 2]])] * 3))
    with pytest.raises((UnsupportedError, WeightsError), match=kind):
        converters.read_network([path])


@pytest.mark.parametrize("kind", sorted({*OPERANDS} - UNJUDGED))
def test_the_numbers_are_those_of_litert(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, found = tmp_path / "small.tflite", dict[int, Constant]()
    path.write_bytes(file_of(kind))
    monkeypatch.setattr(Constants, "put", lambda _, index, made: found.update({index: made}))
    converters.read_network([path])
    expected = judged(path, np.zeros((1, 4), np.float32))[2]
    np.testing.assert_array_equal(found[2].low, expected)
    assert found[2].low.shape == expected.shape


@pytest.mark.parametrize("kind", sorted({*OPERANDS} - FREE))
def test_without_a_budget_nothing_is_computed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(file_of(kind))
    assert converters.read_network([path]).outputs[0].shape == (None, 4)
    monkeypatch.setattr(budget, "ELEMENTS_FREE", -(1 << 40))
    with pytest.raises(UnsupportedError, match=r"would take more elements"):
        converters.read_network([path])


def test_a_constant_of_gigabytes_of_one_number(tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 4)), Tensor("y", (1, 4)), constant("shape", [1 << 20, 1 << 12], "int32")]
    tensors += [constant("one", 1.0), Tensor("filled", (1 << 20, 1 << 12))]
    path = tmp_path / "fill.tflite"
    path.write_bytes(write_tflite(tensors, [Operator(94, [2, 3], [4]), Operator(19, [0], [1])], [0], [1]))
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedError, match=r"'filled' \(FILL\).*would take"):
            converters.read_network([path])
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
