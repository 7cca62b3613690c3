"""Products of matrices and attention, against PyTorch."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values

import mpscnn


@given(st.booleans(), st.booleans(), seeds)
def test_torch_matmul(transpose_a: bool, transpose_b: bool, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    a = values(seed, (2, 3, 20, 30) if transpose_a else (2, 3, 30, 20))
    b = values(seed + 1, (2, 3, 40, 20) if transpose_b else (2, 3, 20, 40))
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    expected = torch.matmul(left.mT if transpose_a else left, right.mT if transpose_b else right).numpy()
    attributes = {"transpose_first": transpose_a, "transpose_second": transpose_b}
    np.testing.assert_allclose(
        run_layer("matrix_product", [a, b], attributes), expected, rtol=1e-4, atol=1e-5
    )


@given(seeds)
def test_torch_attention(seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    inputs = [values(seed + i, (2, 3, 21, 16)) for i in range(3)]
    expected = torch.nn.functional.scaled_dot_product_attention(*map(torch.from_numpy, inputs)).numpy()
    network = mpscnn.Network(input=dict.fromkeys("qkv", (3, 21, 16)))
    q, k, v = network.inputs
    scores = network.softmax(network.matmul(q, k, transpose_b=True, scale=0.25))
    network.output(network.matmul(scores, v))
    result = network.compile(precision="float32").session(threads=1).run(inputs)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
