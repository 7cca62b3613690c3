"""Reductions as PyTorch sees them."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values
from reference.reduction import AXES

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))


@given(shapes, st.sampled_from(["amax", "amin", "sum", "mean"]), st.sampled_from(list(AXES)), seeds)
def test_reductions(shape: tuple[int, ...], function: str, axis: str, seed: int) -> None:
    x = values(seed, shape)
    result = run_layer("reduction", [x], {"kind": function.removeprefix("a"), "axis": axis})
    expected = getattr(torch, function)(torch.from_numpy(x), dim=AXES[axis], keepdim=True)
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-5, atol=1e-5)


@given(shapes, st.sampled_from(list(AXES)), seeds)
def test_products_and_norms(shape: tuple[int, ...], axis: str, seed: int) -> None:
    x = values(seed, shape)
    wide = torch.from_numpy(x).double()
    for kind, expected in (
        ("product", torch.prod(wide, dim=AXES[axis], keepdim=True)),
        ("l2_norm", torch.linalg.vector_norm(wide, dim=AXES[axis], keepdim=True)),
        ("log_sum_exp", torch.logsumexp(wide, dim=AXES[axis], keepdim=True)),
        ("variance", torch.var(wide, dim=AXES[axis], correction=0, keepdim=True)),
    ):
        result = run_layer("reduction", [x], {"kind": kind, "axis": axis})
        atol = 1e-5 if kind == "log_sum_exp" else 1e-30
        np.testing.assert_allclose(result, expected.numpy(), rtol=1e-5, atol=atol)


_GRADIENTS = {
    "l2": lambda x, axis: torch.linalg.vector_norm(x, dim=axis, keepdim=True),
    "sum_of_squares": lambda x, axis: (x * x).sum(axis, keepdim=True),
    "variance": lambda x, axis: x.var(axis, keepdim=True),
    "deviation": lambda x, axis: x.std(axis, keepdim=True),
    "log_sum_exp": lambda x, axis: torch.logsumexp(x, axis, keepdim=True),
}


@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (1, 2), (1, 3), (1, 2, 3)])
@pytest.mark.parametrize("kind", _GRADIENTS)
def test_gradients(kind: str, axes: tuple[int, ...]) -> None:
    x = values(0, (2, 4, 5, 6))
    network = mpscnn.Network(input=(4, 5, 6))
    correction = {"correction": 1} if kind in ("variance", "deviation") else {}
    network.output(getattr(network, f"reduce_{kind}")(network.input, axes, **correction))
    argument = torch.from_numpy(x).double().requires_grad_()
    result = _GRADIENTS[kind](argument, axes)
    gradient = values(1, tuple(result.shape))
    result.backward(torch.from_numpy(gradient).double())
    _, gradients = network.gradients(x, output_gradient=gradient)
    np.testing.assert_allclose(gradients["image"], argument.grad.numpy(), rtol=1e-4, atol=1e-5)


@given(shapes, st.sampled_from(["max", "min"]), seeds)
def test_arguments(shape: tuple[int, ...], kind: str, seed: int) -> None:
    x = values(seed, shape)
    expected = getattr(torch, f"arg{kind}")(torch.from_numpy(x), dim=-1, keepdim=True)
    np.testing.assert_array_equal(run_layer("argument", [x], {"kind": kind}), expected.numpy())
