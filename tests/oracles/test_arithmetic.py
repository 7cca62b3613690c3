"""Arithmetic and its broadcasting against PyTorch's."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import seeds, values
from tolerance import FLOAT32_EPS

import mpscnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

ORACLES = {
    "add": torch.add,
    "subtract": torch.subtract,
    "multiply": torch.multiply,
    "divide": torch.divide,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "equal": torch.eq,
    "not_equal": torch.ne,
    "mask": lambda a, b: torch.where(a != 0, b, torch.zeros_like(b)),
    "mask_out": lambda a, b: torch.where(a == 0, b, torch.zeros_like(b)),
}


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast."""
    extents = [draw(st.integers(1, 9)) for _ in range(draw(st.integers(0, 2)))] + [draw(st.integers(1, 40))]
    first, second = [], []
    for extent in extents:
        repeated = draw(st.sampled_from(["none", "none", "first", "second"]))
        first.append(1 if repeated == "first" else extent)
        second.append(1 if repeated == "second" else extent)
    return tuple(first), tuple(second)


@given(st.sampled_from(list(ORACLES)), shapes(), st.integers(1, 3), seeds)
def test_broadcasting(
    kind: str, both: tuple[tuple[int, ...], tuple[int, ...]], batch: int, seed: int
) -> None:
    a, b = (values(seed + i, (batch, *shape)) for i, shape in enumerate(both))
    a, b = np.round(4 * a) / 4, np.round(4 * b) / 4  # so that some are equal
    expected = ORACLES[kind](torch.from_numpy(a), torch.from_numpy(b)).numpy()
    network = mpscnn.Network(input={"a": both[0], "b": both[1]})
    network.output(getattr(network, kind)(*network.inputs))
    np.testing.assert_array_equal(network.compile(precision="float32").session().run([a, b]), expected)


@given(shapes(), seeds)
def test_where(both: tuple[tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    full = tuple(map(max, *both))
    condition, a, b = (
        np.round(values(seed + i, (2, *shape))) for i, shape in enumerate((both[0], full, both[1]))
    )
    expected = torch.where(*(torch.from_numpy(x) for x in (condition != 0, a, b))).numpy()
    network = mpscnn.Network(input={"condition": both[0], "a": full, "b": both[1]})
    network.output(network.where(*network.inputs))
    np.testing.assert_array_equal(
        network.compile(precision="float32").session().run([condition, a, b]), expected
    )


@given(shapes(), seeds)
def test_power(both: tuple[tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    a, b = (values(seed + i, (2, *shape)) for i, shape in enumerate(both))
    a, b = np.where(a < 0, np.round(a), a), np.where(b < 0, np.round(b), b)
    expected = torch.pow(torch.from_numpy(a).double(), torch.from_numpy(b).double()).numpy()
    network = mpscnn.Network(input={"a": both[0], "b": both[1]})
    network.output(network.power(*network.inputs))
    result = network.compile(precision="float32").session().run([a, b])
    np.testing.assert_allclose(result, expected, rtol=2 * FLOAT32_EPS)
