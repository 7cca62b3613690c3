"""Reductions as PyTorch sees them."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values
from reference.reduction import AXES

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
    ):
        result = run_layer("reduction", [x], {"kind": kind, "axis": axis})
        np.testing.assert_allclose(result, expected.numpy(), rtol=1e-5, atol=1e-30)


@given(shapes, st.sampled_from(["max", "min"]), seeds)
def test_arguments(shape: tuple[int, ...], kind: str, seed: int) -> None:
    x = values(seed, shape)
    expected = getattr(torch, f"arg{kind}")(torch.from_numpy(x), dim=-1, keepdim=True)
    np.testing.assert_array_equal(run_layer("argument", [x], {"kind": kind}), expected.numpy())
