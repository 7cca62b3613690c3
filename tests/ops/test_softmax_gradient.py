"""Gradients of softmax and its logarithm against the float64 reference and PyTorch."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_training, seeds, values
from reference.softmax import log_softmax, softmax
from reference.softmax_gradient import softmax_gradient

import mpscnn


@given(st.integers(1, 1100), st.integers(1, 4), st.floats(0.1, 30.0), seeds, st.booleans())
def test_vectors_and_pixels(channels: int, pixels: int, scale: float, seed: int, logarithm: bool) -> None:
    gradient, x = values(seed, (2, 1, pixels, channels)), values(seed, (2, 1, pixels, channels), scale=scale)
    result = (log_softmax if logarithm else softmax)(x).astype(np.float32)
    given_back = run_training(
        "softmax_gradient", [gradient, result], {"logarithm": logarithm}, threads=1 + seed % 3
    )
    terms = softmax_gradient(np.abs(gradient), result, logarithm=True) if logarithm else result
    sums = np.abs(gradient * result).sum(axis=-1, keepdims=True)
    bound = (
        1e-5 * (np.abs(gradient) + np.abs(terms)) if logarithm else 2e-6 * result * (np.abs(gradient) + sums)
    )
    assert (
        np.abs(given_back - softmax_gradient(gradient, result, logarithm=logarithm)) <= bound + 1e-37
    ).all()


@pytest.mark.parametrize("logarithm", [False, True])
def test_pytorch(logarithm: bool) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    gradient, x = values(1, (7, 10)), values(2, (7, 10), scale=3.0)
    argument = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    result = (torch.log_softmax if logarithm else torch.softmax)(argument, -1)
    result.backward(torch.from_numpy(gradient.astype(np.float64)))
    inputs = [gradient, result.detach().numpy().astype(np.float32)]
    given_back = run_training("softmax_gradient", inputs, {"logarithm": logarithm})
    np.testing.assert_allclose(given_back, argument.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("logarithm", [False, True])
def test_bits_do_not_depend_on_threads(logarithm: bool) -> None:
    inputs = [values(1, (2, 40, 33, 21)), values(2, (2, 40, 33, 21))]
    one = run_training("softmax_gradient", inputs, {"logarithm": logarithm})
    for threads in (2, 3, 8):
        several = run_training("softmax_gradient", inputs, {"logarithm": logarithm}, threads=threads)
        np.testing.assert_array_equal(one, several)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(mpscnn.ShapeError, match="input 1 must have the shape of input 0"):
        run_training("softmax_gradient", [np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)], {})
