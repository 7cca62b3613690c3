"""Arithmetic on constants of TensorFlow Lite files is counted before it is done, for each folded operator."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from converters.tflite_writer import Operator, Tensor, constant, write_tflite

from mpscnn import converters
from mpscnn.converters import budget
from mpscnn.converters.tflite.constant_operators import COMPUTED
from mpscnn.converters.tflite.names import operator_name
from mpscnn.errors import UnsupportedError

FOUR, TWO, ZERO = np.arange(1, 5), np.array([2, 2]), np.array([0])
# Operands with which operators make as many elements as arithmetic on shapes may have.
ROW, COLUMN = np.ones((1, 64), np.int64), np.ones((64, 1), np.int64)
OPERANDS: dict[str, list[np.ndarray]] = {
    **{kind: [ROW, COLUMN] for kind in ("ADD", "DIV", "FLOOR_DIV", "MAXIMUM", "MINIMUM", "MUL", "SUB")},
    "BROADCAST_ARGS": [FOUR, FOUR],
    "CAST": [FOUR],
    "CONCATENATION": [FOUR] * 9,
    "EXPAND_DIMS": [FOUR, ZERO],
    "FILL": [np.array([64, 64]), np.array(3)],
    "GATHER": [FOUR, np.zeros(64, np.int64)],
    "PACK": [FOUR] * 9,
    "RANGE": [np.array(0), np.array(64), np.array(1)],
    "REDUCE_PROD": [FOUR, ZERO],
    "RESHAPE": [FOUR, TWO],
    "SLICE": [FOUR, ZERO, np.array([2])],
    "SQUEEZE": [ROW],
    "STRIDED_SLICE": [FOUR, ZERO, np.array([2]), np.array([1])],
    "TRANSPOSE": [ROW, np.array([1, 0])],
}


def file_of(kind: str) -> bytes:
    """Return a file with an operator of constants, whose result is not used."""
    number = next(number for number in range(200) if operator_name(number) == kind)
    tensors = [Tensor("x", (1, 4)), Tensor("y", (1, 4)), Tensor("result", (4,))]
    tensors += [constant(f"c{place}", values, "int32") for place, values in enumerate(OPERANDS[kind])]
    operators = [Operator(number, range(3, len(tensors)), [2]), Operator(19, [0], [1])]
    return write_tflite(tensors, operators, [0], [1])


def test_each_operator_has_operands() -> None:
    assert OPERANDS.keys() == COMPUTED.keys()


@pytest.mark.parametrize("kind", OPERANDS)
def test_without_a_budget_nothing_is_computed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(file_of(kind))
    assert converters.read_network([path]).outputs[0].shape == (None, 4)
    monkeypatch.setattr(budget, "ELEMENTS_FREE", -(1 << 40))
    with pytest.raises(UnsupportedError, match=r"would take \d+ elements"):
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
