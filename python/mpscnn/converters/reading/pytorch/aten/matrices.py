"""Write ATen's matrix products and attention as ONNX nodes."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer, first_of, several
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

_LARGEST = float(np.finfo(np.float32).max)


def _matrix_product(g: Writer, x: str, y: str) -> str:
    return ops.matmul(g, x, y)


def _sum_and_product(g: Writer, bias: str, x: str, y: str, beta: float = 1, alpha: float = 1) -> str:
    if beta == 0:
        return g.scaled(ops.matmul(g, x, y), alpha)
    if g.rank(x) == 2 and g.rank(bias) == 1:
        return ops.gemm(g, x, y, bias, alpha=float(alpha), beta=float(beta))
    return ops.add(g, g.scaled(ops.matmul(g, x, y), alpha), g.scaled(bias, beta))


def _linear(g: Writer, x: str, weight: str, bias: str | None = None) -> str:
    if g.rank(x) == 2 and g.rank(weight) == 2 and bias:
        return ops.gemm(g, x, weight, bias, transpose_y=1)
    if g.rank(weight) == 1:
        made = g.reshaped(ops.matmul(g, x, g.reshaped(weight, [g.shapes[weight][0], 1])), g.result)
    else:
        made = ops.matmul(g, x, ops.transpose(g, weight, perm=[1, 0]))
    return ops.add(g, made, bias) if bias else made


def _attention(
    g: Writer,
    query: str,
    key: str,
    value: str,
    mask: str | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> str:
    """Write scaled_dot_product_attention. A query that may attend to no key gets zeros."""
    if dropout:
        raise UnsupportedError("dropout in training")
    if enable_gqa:
        key, value = (_for_each_query(g, one, query) for one in (key, value))
    rank = g.rank(key)
    turned = ops.transpose(g, key, perm=[*range(rank - 2), rank - 1, rank - 2])
    factor = 1 / math.sqrt(int(g.shapes[query][-1])) if scale is None else scale
    scores = ops.multiply(g, ops.matmul(g, query, turned), factor)
    if is_causal:
        rows, columns = (int(g.shapes[one][-2]) for one in (query, key))
        array = np.tri(rows, columns, dtype=np.bool_)
        mask = g.constant(array, "causal")
        g.arrays[mask], g.kinds[mask] = array, "bool"
    if mask is None:
        return ops.matmul(g, ops.softmax(g, scores, axis=-1), value)
    return ops.matmul(g, _masked_shares(g, scores, mask), value)


def _masked_shares(g: Writer, scores: str, mask: str) -> str:
    """Write the softmax of masked scores. A mask of truth values is true where the query attends to the key."""
    array = g.arrays.get(mask)
    is_truth = g.kind_of(mask) == "bool"
    if array is None:
        bias = ops.where(g, mask, 0.0, -math.inf) if is_truth else mask
        masked = ops.add(g, scores, bias)
        shares = ops.softmax(g, masked, axis=-1)
        # A query sees no key if all its scores are minus infinity. NaN in the inputs stays NaN.
        blind = ops.less(g, ops.reduce_max(g, masked, [-1], keepdims=1), -_LARGEST)
        return ops.where(g, blind, 0.0, shares)
    numbers = np.where(array, 0.0, -math.inf).astype(np.float32) if is_truth else array
    hidden = np.asarray(np.isneginf(numbers).all(-1, keepdims=True))
    finite = np.array(numbers, np.float32)
    finite[np.broadcast_to(hidden, finite.shape)] = 0.0
    shares = ops.softmax(g, ops.add(g, scores, g.constant(finite)), axis=-1)
    return ops.multiply(g, shares, g.constant(np.asarray(~hidden, np.float32))) if hidden.any() else shares


def _for_each_query(g: Writer, x: str, query: str) -> str:
    """Repeat the heads of keys or values, each of which belongs to several consecutive heads of queries."""
    own, wanted = int(g.shapes[x][-3]), int(g.shapes[query][-3])
    if own == wanted:
        return x
    heads = np.arange(wanted, dtype=np.int64) * own // wanted
    made = ops.gather(g, x, g.constant(heads), axis=g.rank(x) - 3)
    g.shapes[made] = (*g.shapes[x][:-3], wanted, *g.shapes[x][-2:])
    return made


MATRICES: dict[str, Row] = {
    **several(_matrix_product, "mm bmm matmul dot mv"),
    **several(_sum_and_product, "addmm baddbmm"),
    "linear.default": _linear,
    "einsum.default": lambda g, equation, operands, **_: ops.einsum(g, *operands, equation=equation),
    "scaled_dot_product_attention.default": _attention,
    "_scaled_dot_product_flash_attention_for_cpu.default": first_of(
        2,
        lambda g, query, key, value, dropout=0.0, is_causal=False, *, attn_mask=None, scale=None: _attention(
            g, query, key, value, attn_mask, dropout, is_causal, scale=scale
        ),
    ),
}
