"""Products of two tensors' matrices against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.matrix_product import matrix_product
from tolerance import assert_close, linear_bound, needs_promise_about_nan

import mpscnn

sizes = st.tuples(*[st.integers(1, 70)] * 3)


@given(
    st.integers(1, 2),
    st.lists(st.integers(1, 3), max_size=3),
    sizes,
    st.booleans(),
    st.booleans(),
    seeds,
    precisions(),
)
def test_all_shapes(
    batch: int,
    leading: list[int],
    size: tuple[int, int, int],
    transpose_a: bool,
    transpose_b: bool,
    seed: int,
    precision: str,
) -> None:
    m, k, p = size
    a = values(seed, (batch, *leading, *((k, m) if transpose_a else (m, k))), precision=precision)
    b = values(seed + 1, (batch, *leading, *((p, k) if transpose_b else (k, p))), precision=precision)
    attributes = {
        "transpose_first": transpose_a,
        "transpose_second": transpose_b,
        "scale": 0.3 if seed % 2 else 1.0,
    }
    result = run_layer("matrix_product", [a, b], attributes, precision=precision, threads=1 + seed % 2)
    bound = linear_bound(matrix_product(np.abs(a), np.abs(b), attributes))
    assert_close(result, matrix_product(a, b, attributes), bound, half=precision == "float16")


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [(197, 64, 197), (1, 300, 130), (500, 3, 33)])
def test_threads_share_them(size: tuple[int, int, int], threads: int) -> None:
    """Results have the same bits for any number of threads."""
    m, k, p = size
    a, b = values(0, (2, 3, m, k)), values(1, (2, 3, k, p))
    result = run_layer("matrix_product", [a, b], {}, threads=threads)
    bound = linear_bound(matrix_product(np.abs(a), np.abs(b), {}))
    assert_close(result, matrix_product(a, b, {}), bound)
    np.testing.assert_array_equal(result, run_layer("matrix_product", [a, b], {}))


def test_attention() -> None:
    """Attention with three heads whose features are adjacent in each token, as views of one product."""
    tokens, heads, features = 17, 3, 5
    network = mpscnn.Network(input=(tokens, 3 * heads * features))
    parts = network.split(network.input, 3)
    q, k, v = (
        network.transpose(network.reshape(part, (tokens, heads, features)), (2, 1, 3)) for part in parts
    )
    scores = network.matmul(q, k, transpose_b=True, scale=features**-0.5)
    mixed = network.matmul(network.softmax(scores), v)
    network.output(network.reshape(network.transpose(mixed, (2, 1, 3)), (tokens, heads * features)))
    x = values(0, (2, tokens, 3 * heads * features))
    q, k, v = x.astype(np.float64).reshape(2, tokens, 3, heads, features).transpose(2, 0, 3, 1, 4)
    weights = np.exp(q @ k.swapaxes(-1, -2) * features**-0.5)
    weights /= weights.sum(-1, keepdims=True)
    expected = (weights @ v).swapaxes(1, 2).reshape(2, tokens, -1)
    result = network.compile(precision="float32").session(threads=1).run(x)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@needs_promise_about_nan
def test_nan_spoils_its_own_row_or_column_only() -> None:
    a, b = values(0, (1, 30, 20)), values(1, (1, 20, 40))
    a[0, 3, 4], b[0, 5, 6] = np.nan, np.inf
    result = run_layer("matrix_product", [a, b], {})
    assert np.isnan(result[0, 3]).all()
    assert np.isinf(np.delete(result[0, :, 6], 3)).all()
    assert np.isfinite(np.delete(np.delete(result[0], 3, axis=0), 6, axis=1)).all()


def test_free_extents() -> None:
    network = mpscnn.Network(input={"a": (None, 4), "b": (None, 4)})
    network.output(network.matmul(*network.inputs, transpose_b=True))
    assert network.outputs[0].shape == (None, None, None)
    a, b = values(0, (1, 5, 4)), values(1, (1, 6, 4))
    result = network.compile(precision="float32").session().run([a, b])
    np.testing.assert_allclose(result, a @ b.swapaxes(1, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "attributes", "message"),
    [
        (
            (3, 4),
            (5, 6),
            {},
            r"matrices of 4 columns and 5 rows cannot be multiplied: \(n, 3, 4\) and \(n, 5, 6\)",
        ),
        ((3, 4), (4, 5), {"transpose_second": True}, r"4 columns and 5 rows \(transposed\)"),
        ((2, 3, 4), (3, 4, 5), {}, "must have the batch, the same axes behind it"),
        ((3, 4), (4,), {}, "must have the batch, the same axes behind it"),
        ((3,), (3,), {}, "must have the batch, the same axes behind it"),
    ],
)
def test_wrong_shapes_are_named(
    a: tuple[int, ...], b: tuple[int, ...], attributes: dict[str, Any], message: str
) -> None:
    network = mpscnn.Network(input={"a": a, "b": b})
    with pytest.raises(mpscnn.ShapeError, match=message):
        network.layer("matrix_product", network.inputs, attributes)


def test_a_scale_that_is_not_finite_is_refused() -> None:
    network = mpscnn.Network(input={"a": (2, 2), "b": (2, 2)})
    with pytest.raises(mpscnn.ParameterError, match="scale"):
        network.matmul(*network.inputs, scale=float("inf"))
