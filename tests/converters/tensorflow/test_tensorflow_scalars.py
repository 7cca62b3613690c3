"""Test that constants without axes stay so: they broadcast with vectors, and as an index they remove an axis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tensorflow_writer import Graph, Type
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters import read_network

Array = NDArray[Any]
X = np.random.default_rng(3).normal(0, 1, (3, 4, 5, 2)).astype(np.float32)
NUMBER = np.float32(0.25)
COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "Equal": np.equal,
    "NotEqual": np.not_equal,
}
ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "DivNoNan": np.divide,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "SquaredDifference": lambda a, b: (a - b) ** 2,
}


def assert_computes(graph: Graph, path: Path, x: Array, wanted: Array) -> None:
    found = np.asarray(read_network([graph.save(path / "graph.pb")], outputs=["result"]).compile().run(x))
    assert found.size == wanted.size
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-5, rtol=1e-5)


def one_place(graph: Graph, x: str, axis: int, place: int) -> str:
    """Add the elements at one place of an axis, without the axis."""
    return graph.node("GatherV2", x, graph.constant(np.int32(place)), graph.constant(np.int32(axis)))


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_an_index_removes_its_axis(axis: int, transposed: bool, tmp_path: Path) -> None:
    graph = Graph()
    x = one_place(graph, graph.placeholder(-1, 4, 5, 2), axis, 1)
    product = graph.node("BatchMatMulV2", x, graph.node("Tanh", x), adj_x=transposed, adj_y=not transposed)
    graph.node("Softmax", product, name="result")
    part = np.take(X, 1, axis).astype(np.float64)
    form = "nka,nkb->nab" if transposed else "nak,nbk->nab"
    powers = np.exp(np.einsum(form, part, np.tanh(part)))
    assert_computes(graph, tmp_path, X, powers / powers.sum(-1, keepdims=True))


def test_a_softmax_over_the_batch_that_an_index_leaves(tmp_path: Path) -> None:
    graph = Graph()
    graph.node("Softmax", one_place(graph, graph.placeholder(-1, 10), 1, 2), name="result")
    with pytest.raises(mpscnn.UnsupportedError, match=r"\(Softmax\): compares images of the batch"):
        read_network([graph.save(tmp_path / "graph.pb")], outputs=["result"])


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("kind", [*COMPARISONS, *ARITHMETIC])
def test_a_number_broadcasts(kind: str, rank: int, first: bool, tmp_path: Path) -> None:
    graph, x = Graph(), X[:, 0, :, 0] if rank == 2 else X
    operands = graph.constant(NUMBER), graph.placeholder(-1, *x.shape[1:])
    made = graph.node(kind, *(operands if first else operands[::-1]))
    if kind in COMPARISONS:
        made = graph.node("Cast", made, SrcT=Type("bool"), DstT=Type("float32"))
    graph.node("Identity", made, name="result")
    compute = (COMPARISONS | ARITHMETIC)[kind]
    wanted = compute(NUMBER, x) if first else compute(x, NUMBER)
    assert_computes(graph, tmp_path, x, wanted.astype(np.float64))
