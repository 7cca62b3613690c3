"""Sums over the axes that another tensor lacks against the float64 reference."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_training, seeds, values
from reference.sum_like import sum_like

import mpscnn

extents = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 150))


@given(extents, st.tuples(*[st.booleans()] * 4), seeds)
def test_all_shapes(shape: tuple[int, ...], kept: tuple[bool, ...], seed: int) -> None:
    like = tuple(extent if keep else 1 for extent, keep in zip(shape, kept, strict=True))
    x, other = values(seed, shape), np.zeros(like, np.float32)
    result = run_training("sum_like", [x, other], {}, threads=1 + seed % 3)
    bound = 1e-6 * sum_like(np.abs(x), other) + 1e-30
    assert (np.abs(result - sum_like(x, other)) <= bound).all()


@pytest.mark.parametrize("shape", [(7, 60, 50, 33), (300, 70), (300, 5, 70)])
def test_a_bias(shape: tuple[int, ...]) -> None:
    """Of many pixels whose sum is small beside them, to the same bits with any number of threads."""
    x, bias = values(1, shape) + 100, np.zeros((1, shape[-1]), np.float32)
    result = run_training("sum_like", [x, bias], {})
    np.testing.assert_allclose(result, sum_like(x, bias), rtol=1e-6)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(result, run_training("sum_like", [x, bias], {}, threads=threads))


def test_what_does_not_fit() -> None:
    with pytest.raises(mpscnn.ShapeError, match="each extent of input 1 must be that of input 0 or 1"):
        run_training("sum_like", [np.ones((2, 4, 3), np.float32), np.ones((2, 2, 3), np.float32)], {})
