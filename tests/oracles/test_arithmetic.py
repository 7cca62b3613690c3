"""Arithmetic and its broadcasting against PyTorch's."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import seeds, values

import mpscnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


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


@given(st.sampled_from(["add", "subtract", "multiply", "divide"]), shapes(), st.integers(1, 3), seeds)
def test_broadcasting(
    kind: str, both: tuple[tuple[int, ...], tuple[int, ...]], batch: int, seed: int
) -> None:
    a, b = (values(seed + i, (batch, *shape)) for i, shape in enumerate(both))
    expected = getattr(torch, kind)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    network = mpscnn.Network(input={"a": both[0], "b": both[1]})
    network.output(getattr(network, kind)(*network.inputs))
    np.testing.assert_array_equal(network.compile(precision="float32").session().run([a, b]), expected)
