"""TensorFlow's operators of constants compute what TensorFlow does, also with extents that are free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tensorflow_writer import Graph, Type

from mpscnn import Network
from mpscnn.converters import read_network
from mpscnn.errors import Error

A, B = np.array([7, -7, 9]), np.array([2, 2, 4])
NO_MASKS = {f"{name}_mask": 0 for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
#: The operands of each operator, its attributes, and its results.
CASES: dict[str, tuple[list[Any], dict[str, Any], list[Any]]] = {
    "Add": ([A, B], {}, [[9, -5, 13]]),
    "AddV2": ([A, 1], {}, [[8, -6, 10]]),
    "Cast": ([A], {"DstT": Type("int64")}, [A]),
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
    "Prod": ([A, [0]], {"keep_dims": True}, [[-441]]),
    "Range": ([1, 8, 3], {}, [[1, 4, 7]]),
    "Reshape": ([A, [3, -1]], {}, [[[7], [-7], [9]]]),
    "Slice": ([A, [1], [-1]], {}, [[-7, 9]]),
    "Squeeze": ([[A]], {"squeeze_dims": [0]}, [A]),
    "StridedSlice": ([A, [2], [0], [-1]], NO_MASKS | {"end_mask": 1}, [[9, -7, 7]]),
    "Sub": ([A, B], {}, [[5, -9, 5]]),
    "Transpose": ([[A, B], [1, 0]], {}, [[[7, 2], [-7, 2], [9, 4]]]),
    "Unpack": ([A], {"axis": 0, "num": 3}, [7, -7, 9]),
}


def network_of(graph: Graph, folder: Path) -> Network:
    return read_network([graph.save(folder / "graph.pb")])


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("is_free", [False, True])
def test_an_operator_of_constants(kind: str, is_free: bool, tmp_path: Path) -> None:
    """An input plus each result is what TensorFlow computes. Operands may depend on a size that is free."""
    operands, given, wanted = CASES[kind]
    graph = Graph()
    image = graph.placeholder(1, -1, -1, 1)
    names = [graph.constant(np.array(one, np.int32)) for one in operands]
    if is_free:
        shape = graph.node("Shape", image)
        zero = graph.node("Prod", graph.node("Sub", shape, shape), graph.constant(np.array([0], np.int32)))
        names = [graph.node("Add", name, zero) for name in names]
    made = graph.node(kind, *names, **given)
    for place, result in enumerate(wanted):
        x = graph.placeholder(1, *np.shape(result), name=f"x{place}")
        number = graph.node("Cast", made if place == 0 else f"{made}:{place}", DstT=Type("float32"))
        graph.node("Add", x, number, name=f"y{place}")
    network = network_of(graph, tmp_path)
    inputs = {one.name: np.zeros([extent or 1 for extent in one.shape], np.float32) for one in network.inputs}
    results = network.compile(device="cpu").session().run(inputs)
    found = results if isinstance(results, dict) else {"y0": results}
    for place, result in enumerate(wanted):
        np.testing.assert_array_equal(np.reshape(found[f"y{place}"], np.shape(result)), result)


def test_extents_that_are_free(tmp_path: Path) -> None:
    """A reshape to (batch, height * width, channels) keeps the size free."""
    graph = Graph()
    image = graph.placeholder(-1, -1, -1, 3)
    graph.node("Unpack", graph.node("Shape", image), name="sides", num=4, axis=0)
    area = graph.node("Mul", "sides:1", "sides:2")
    graph.node("Reshape", image, graph.node("Pack", "sides", area, "sides:3", axis=0), name="flat")
    network = network_of(graph, tmp_path)
    assert [output.shape for output in network.outputs] == [(None, None, 3)]


@pytest.mark.parametrize(
    ("kind", "operands", "problem"),
    [
        ("Mul", [1 << 40, 1 << 30], "a whole number of more than 64 bits"),
        ("Prod", [[1 << 40, 1 << 30], [0]], "a whole number of more than 64 bits"),
        ("FloorMod", [1, 0], "divides by 0"),
        ("FloorDiv", [1, 0], "divides by 0"),
        ("Range", [0, 1 << 40, 1], "would take"),
        ("Fill", [[1 << 20, 1 << 20], 1], "would take"),
    ],
)
def test_constants_that_are_refused(kind: str, operands: list[Any], problem: str, tmp_path: Path) -> None:
    graph = Graph()
    arrays = [np.array(one, np.int64) for one in operands]
    made = graph.node(kind, *(graph.node("Const", dtype=Type("int64"), value=one) for one in arrays))
    graph.node("Reshape", graph.placeholder(-1, 4), made)
    with pytest.raises(Error, match=problem):
        network_of(graph, tmp_path)


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
    network = network_of(graph, tmp_path)
    assert [output.shape for output in network.outputs] == [(None, 32)]
