"""Gradients of batch normalization against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds, values
from reference.batch_normalization_gradient import normalization_gradient, normalization_sums

import mpscnn

EPSILON = {"epsilon": 0.01}
extents = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 70))


def statistics_of(x: NDArray[Any]) -> NDArray[np.float32]:
    axes = tuple(range(x.ndim - 1))
    both = np.stack([x.mean(axes, np.float64), x.var(axes, np.float64)])
    return both[None, :, None].astype(np.float32)


@given(extents, st.booleans(), seeds)
def test_all_shapes(shape: tuple[int, ...], with_gamma: bool, seed: int) -> None:
    threads = 1 + seed % 3
    x, gradient = values(seed, shape) + 3, values(seed + 1, shape)
    statistics = statistics_of(x)
    sums = run_training("batch_normalization_sums", [gradient, x, statistics], EPSILON, threads=threads)
    bound = normalization_sums(np.abs(gradient), np.abs(x - 3) + 3, statistics * 0, 0.01)
    assert (
        np.abs(sums - normalization_sums(gradient, x, statistics, 0.01)) <= 1e-6 * np.abs(bound) + 1e-6
    ).all()
    gamma = values(seed + 2, (1, shape[-1])) if with_gamma else None
    inputs = [gradient, x, statistics, sums, *([] if gamma is None else [gamma])]
    result = run_training("batch_normalization_gradient", inputs, EPSILON, threads=threads)
    expected = normalization_gradient(gradient, x, statistics, sums, gamma, 0.01)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_many_pixels(mean: float) -> None:
    """Sums stay exact with a mean of a hundred deviations, and bits do not depend on the number of threads."""
    shape = (8, 56, 56, 24)
    x, gradient = values(0, shape) + np.float32(mean), values(1, shape)
    statistics = statistics_of(x)
    sums = run_training("batch_normalization_sums", [gradient, x, statistics], EPSILON)
    expected = normalization_sums(gradient, x, statistics, 0.01)
    assert np.abs(sums - expected).max() <= 2e-3
    inputs = [gradient, x, statistics, sums]
    result = run_training("batch_normalization_gradient", inputs, EPSILON)
    reference = normalization_gradient(gradient, x, statistics, sums, None, 0.01)
    np.testing.assert_allclose(result, reference, rtol=1e-5, atol=1e-5)
    for threads in (2, 3, 8):
        again = run_training("batch_normalization_sums", [gradient, x, statistics], EPSILON, threads=threads)
        np.testing.assert_array_equal(again, sums)
        again = run_training("batch_normalization_gradient", inputs, EPSILON, threads=threads)
        np.testing.assert_array_equal(again, result)


def test_beside_torch() -> None:
    torch: Any = pytest.importorskip("torch")
    x, gradient, gamma = values(0, (3, 5, 7, 20)) * 2 + 1, values(1, (3, 5, 7, 20)), values(2, (1, 20))
    given = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
    weight, bias = torch.tensor(gamma[0], requires_grad=True), torch.zeros(20, requires_grad=True)
    result = torch.nn.functional.batch_norm(given, None, None, weight, bias, training=True, eps=0.01)
    result.backward(torch.tensor(gradient).permute(0, 3, 1, 2))
    statistics = statistics_of(x)
    sums = run_training("batch_normalization_sums", [gradient, x, statistics], EPSILON)
    np.testing.assert_allclose(sums[0, 0, 0], bias.grad.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sums[0, 1, 0], weight.grad.numpy(), rtol=1e-4, atol=1e-4)
    own = run_training("batch_normalization_gradient", [gradient, x, statistics, sums, gamma], EPSILON)
    np.testing.assert_allclose(own, given.grad.permute(0, 2, 3, 1).numpy(), rtol=1e-4, atol=1e-4)


def test_shapes_that_do_not_fit() -> None:
    x = np.ones((2, 3, 3, 4), np.float32)
    with pytest.raises(mpscnn.ShapeError, match=r"input 2 must have the shape \(1, 2, 1, 4\)"):
        run_training("batch_normalization_sums", [x, x, x], EPSILON)
    rows = np.ones((1, 2, 1, 4), np.float32)
    with pytest.raises(mpscnn.ShapeError, match=r"gamma, must have the shape \(1, 4\), got \(1, 3\)"):
        run_training("batch_normalization_gradient", [x, x, rows, rows, np.ones((1, 3), np.float32)], EPSILON)
