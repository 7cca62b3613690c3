"""Tensors one behind the other, against PyTorch and ONNX Runtime's order of axes."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values


@given(st.lists(st.integers(1, 21), min_size=2, max_size=5), st.integers(1, 3), seeds)
def test_torch(extents: list[int], axis: int, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    shapes = [tuple(extent if i == axis else n for i, n in enumerate((2, 3, 4, 5))) for extent in extents]
    parts = [values(seed + i, shape) for i, shape in enumerate(shapes)]
    planes = [torch.from_numpy(np.ascontiguousarray(part.transpose(0, 3, 1, 2))) for part in parts]
    expected = torch.cat(planes, {1: 2, 2: 3, 3: 1}[axis]).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(run_layer("concatenation", parts, {"axis": axis}), expected.numpy())
