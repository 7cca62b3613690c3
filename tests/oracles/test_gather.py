"""Rows, columns and channels at given positions, against PyTorch."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values


@given(st.integers(1, 3), st.lists(st.integers(0, 4), min_size=1, max_size=9), seeds)
def test_torch_index_select(axis: int, indices: list[int], seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(seed, (2, 5, 6, 7))
    expected = torch.index_select(torch.from_numpy(x), axis, torch.tensor(indices)).numpy()
    result = run_layer("gather", [x], {"axis": axis, "indices": indices})
    np.testing.assert_array_equal(result, expected)


@given(st.tuples(*[st.integers(1, 3)] * 3), seeds)
def test_torch_tile(repeats: tuple[int, int, int], seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(seed, (2, 3, 4, 5))
    expected = torch.tile(torch.from_numpy(x), (1, *repeats)).numpy()
    attributes = dict(zip(("rows", "columns", "channels"), repeats, strict=True))
    np.testing.assert_array_equal(run_layer("tile", [x], attributes), expected)
