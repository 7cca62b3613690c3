"""Reshape, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from ops.single_layer import run_layer, values


@pytest.mark.parametrize("shape", [[-1], [60], [3, 20], [5, 4, 3], [2, -1, 3], [1, 1, 60], [4, 5, 3, 1]])
def test_torch(shape: list[int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(0, (2, 4, 5, 3))
    expected = torch.from_numpy(x).reshape(2, *shape).numpy()
    resolved = list(expected.shape[1:])
    np.testing.assert_array_equal(run_layer("reshape", [x], {"shape": shape}), expected)
    np.testing.assert_array_equal(run_layer("reshape", [x], {"shape": resolved}), expected)
