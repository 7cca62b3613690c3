"""TensorFlow's operators of constants compute what TensorFlow does, also with extents that are free."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from converters.tensorflow_writer import Graph

from mpscnn.converters import read_network
from mpscnn.converters.budget import Budget
from mpscnn.converters.constant import Constant
from mpscnn.converters.tensorflow.constant_operators import COMPUTED, compute
from mpscnn.errors import UnsupportedError, WeightsError

A, B = np.array([7, -7, 9]), np.array([2, 2, 4])
NO_MASKS = {f"{name}_mask": 0 for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
#: The operands of each operator, its attributes, and its results.
CASES: dict[str, tuple[list[Any], dict[str, Any], list[Any]]] = {
    "Add": ([A, B], {}, [[9, -5, 13]]),
    "AddV2": ([A, 1], {}, [[8, -6, 10]]),
    "Cast": ([A], {}, [A]),
    "ConcatV2": ([A, B[:1], 0], {}, [[7, -7, 9, 2]]),
    "ExpandDims": ([A, -1], {}, [[[7], [-7], [9]]]),
    "Fill": ([[2, 1], 5], {}, [[[5], [5]]]),
    "FloorDiv": ([A, B], {}, [[3, -4, 2]]),
    "FloorMod": ([A, B], {}, [[1, 1, 1]]),
    "Gather": ([A, [2, 0]], {}, [[9, 7]]),
    "GatherV2": ([A, 1, 0], {}, [-7]),
    "Maximum": ([A, B], {}, [[7, 2, 9]]),
    "Minimum": ([A, B], {}, [[2, -7, 4]]),
    "Mul": ([A, B], {}, [[14, -14, 36]]),
    "Pack": ([A, B], {"axis": 1}, [[[7, 2], [-7, 2], [9, 4]]]),
    "Prod": ([A, 0], {"keep_dims": True}, [[-441]]),
    "Range": ([1, 8, 3], {}, [[1, 4, 7]]),
    "Reshape": ([A, [3, -1]], {}, [[[7], [-7], [9]]]),
    "Slice": ([A, [1], [-1]], {}, [[-7, 9]]),
    "Squeeze": ([[A]], {"squeeze_dims": [0]}, [A]),
    "StridedSlice": ([A, [2], [0], [-1]], NO_MASKS | {"end_mask": 1}, [[9, -7, 7]]),
    "Sub": ([A, B], {}, [[5, -9, 5]]),
    "Transpose": ([[A, B], [1, 0]], {}, [[[7, 2], [-7, 2], [9, 4]]]),
    "Unpack": ([A], {"axis": 0}, [7, -7, 9]),
}


def attributes(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: SimpleNamespace(i=value, b=value, list=SimpleNamespace(i=value))
        for name, value in values.items()
    }


def computed(kind: str, operands: list[Constant], **given: Any) -> list[Constant]:
    found = compute(kind, operands, attributes(given))
    assert found is not None
    return list(found)


def test_each_operator_has_a_case() -> None:
    assert CASES.keys() == COMPUTED.keys()


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("is_pair", [False, True])
def test_an_operator_of_constants(kind: str, is_pair: bool) -> None:
    operands, given, wanted = CASES[kind]
    budget = Budget(lambda: 0)
    arrays = [np.asarray(one) for one in operands]
    constants = [Constant(one, one.copy() if is_pair else one, budget) for one in arrays]
    for found, result in zip(computed(kind, constants, **given), wanted, strict=True):
        np.testing.assert_array_equal(found.low, result)
        np.testing.assert_array_equal(found.high, result)


def test_extents_that_are_free() -> None:
    budget = Budget(lambda: 0)
    shape = Constant.of_extents(([1, 13, 21, 3], [1, 100, 211, 3]), budget)
    _, height, width, channels = computed("Unpack", [shape], axis=0)
    (area,) = computed("Mul", [height, width])
    (flat,) = computed("Pack", [area, channels], axis=0)
    assert flat.shapes("its shape") == ([273, 3], [21_100, 3])
    assert not flat.is_fixed
    assert channels.is_fixed


def test_whole_numbers_have_64_bits() -> None:
    large = Constant.of(np.array([1 << 40, 1 << 30]), Budget(lambda: 0))
    for kind, operands in (
        ("Mul", [large, large]),
        ("Prod", [large, Constant.of(np.array(0), large.budget)]),
    ):
        with pytest.raises(WeightsError, match="a whole number of more than 64 bits"):
            computed(kind, operands)


def test_divisions_by_zero_and_long_results() -> None:
    budget = Budget(lambda: 0)
    zero, one, many = (Constant.of(np.array(number), budget) for number in (0, 1, 2_000))
    with pytest.raises(WeightsError, match="divides by 0"):
        computed("FloorMod", [one, zero])
    with pytest.raises(UnsupportedError, match="counts more numbers"):
        computed("Range", [zero, many, one])
    with pytest.raises(UnsupportedError, match="fills more numbers"):
        computed("Fill", [many.reshape([1]), one])
    assert compute("Add", [Constant.of(np.zeros(3), budget)] * 2, {}) is None


@pytest.mark.parametrize("kind", ["Relu", "ResizeBilinear", "ResizeNearestNeighbor"])
def test_the_batch_of_a_computed_tensor_stays_free(kind: str, tmp_path: Path) -> None:
    """A reshape to (batch, rest), with the batch taken from the shape of a result, keeps the images apart."""
    graph = Graph()
    image = graph.placeholder(-1, 4, 4, 2)
    size = [] if kind == "Relu" else [graph.constant(np.array([4, 4], np.int32))]
    made = graph.node(kind, image, *size)
    begin, end, step = (graph.constant(np.array([number], np.int32)) for number in (0, 1, 1))
    batch = graph.node("StridedSlice", graph.node("Shape", made), begin, end, step, shrink_axis_mask=1)
    shape = graph.node("Pack", batch, graph.constant(np.array(32, np.int32)), axis=0)
    graph.node("Reshape", made, shape, name="result")
    network = read_network([graph.save(tmp_path / "graph.pb")])
    assert [output.shape for output in network.outputs] == [(None, 32)]
