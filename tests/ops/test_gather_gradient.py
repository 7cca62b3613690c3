"""Gradients of what was gathered against the float64 reference and PyTorch."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_training, seeds, values
from reference.gather_gradient import gather_gradient
from tolerance import FLOAT32_EPS

import mpscnn


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.integers(1, 40),
    st.integers(1, 30),
    st.data(),
    seeds,
)
def test_axes(shape: list[int], extent: int, count: int, data: st.DataObject, seed: int) -> None:
    axis = data.draw(st.integers(1, len(shape) - 1))
    indices = data.draw(st.lists(st.integers(0, extent - 1), min_size=count, max_size=count))
    given_axis = axis - len(shape) if seed % 2 else axis
    gradient = values(seed, (*shape[:axis], count, *shape[axis + 1 :]))
    attributes = {"axis": given_axis, "indices": indices, "extent": extent}
    result = run_training("gather_gradient", [gradient], attributes, threads=1 + seed % 3)
    expected = gather_gradient(gradient, axis, indices, extent)
    magnitude = gather_gradient(np.abs(gradient), axis, indices, extent)
    assert result.shape == expected.shape
    assert (np.abs(result - expected) <= count * FLOAT32_EPS * magnitude).all()


def test_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    gradient, indices = values(0, (2, 5, 7, 12)), [3, 0, 3, 3, 4, 1, 0]
    x = torch.zeros((2, 5, 6, 12), dtype=torch.float64, requires_grad=True)
    torch.index_select(x, 2, torch.tensor(indices)).backward(torch.from_numpy(gradient.astype(np.float64)))
    result = run_training("gather_gradient", [gradient], {"axis": 2, "indices": indices, "extent": 6})
    np.testing.assert_allclose(result, x.grad.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_bits_do_not_depend_on_threads(axis: int) -> None:
    gradient = values(0, (1, 90, 91, 92))
    indices = [int(i) for i in np.random.default_rng(1).integers(0, 11, gradient.shape[axis])]
    attributes = {"axis": axis, "indices": indices, "extent": 12}
    one = run_training("gather_gradient", [gradient], attributes)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(
            one, run_training("gather_gradient", [gradient], attributes, threads=threads)
        )


def test_what_is_refused() -> None:
    gradient = np.ones((2, 4, 4, 6), np.float32)
    with pytest.raises(mpscnn.ShapeError, match=r"input 0 must have the shape of the result, \(2, 4, 2, 6\)"):
        run_training("gather_gradient", [gradient], {"axis": 2, "indices": [0, 1], "extent": 5})
    with pytest.raises(mpscnn.ParameterError, match="indices must be positions of 0 to 2, got 3"):
        run_training("gather_gradient", [gradient], {"axis": 2, "indices": [0, 1, 3, 0], "extent": 3})
    with pytest.raises(mpscnn.ParameterError, match="axis must be an axis of"):
        run_training("gather_gradient", [gradient], {"axis": 4, "indices": [0, 1, 3, 0], "extent": 3})
    with pytest.raises(mpscnn.ParameterError, match="extent must be 1 to"):
        run_training("gather_gradient", [gradient], {"axis": 1, "indices": [0], "extent": 0})
