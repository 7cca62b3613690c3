"""Softmax and its logarithm against PyTorch's and SciPy's."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values


@given(st.integers(1, 1100), st.sampled_from([0.1, 3.0, 50.0]), seeds)
def test_pytorch(channels: int, scale: float, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = values(seed, (2, 2, 3, channels), scale=scale)
    exact = torch.from_numpy(x.astype(np.float64))
    softmax, logarithm = torch.softmax(exact, -1).numpy(), torch.log_softmax(exact, -1).numpy()
    np.testing.assert_allclose(run_layer("softmax", [x], {}), softmax, rtol=3e-5, atol=1e-37)
    np.testing.assert_allclose(run_layer("log_softmax", [x], {}), logarithm, rtol=1e-6, atol=1e-6)


def test_scipy() -> None:
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    x = values(0, (5, 1001), scale=8.0)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(run_layer("softmax", [x], {}), special.softmax(exact, axis=-1), rtol=1e-5)
    logarithm = special.log_softmax(exact, axis=-1)
    np.testing.assert_allclose(run_layer("log_softmax", [x], {}), logarithm, rtol=1e-6, atol=1e-6)
