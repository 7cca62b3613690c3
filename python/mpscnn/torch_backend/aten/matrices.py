"""Write ATen's matrix products and attention as ONNX nodes."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.aten.writer import Operator, Writer


def _matrix_product(g: Writer, x: str, y: str) -> str:
    return g.add("MatMul", x, y)


def _sum_and_product(g: Writer, bias: str, x: str, y: str, beta: float = 1, alpha: float = 1) -> str:
    if beta == 0:
        return g.scaled(g.add("MatMul", x, y), alpha)
    if g.rank(x) == 2 and g.rank(bias) == 1:
        return g.add("Gemm", x, y, bias, alpha=float(alpha), beta=float(beta))
    return g.add("Add", g.scaled(g.add("MatMul", x, y), alpha), g.scaled(bias, beta))


def _linear(g: Writer, x: str, weight: str, bias: str | None = None) -> str:
    made = g.add("MatMul", x, g.add("Transpose", weight, perm=[1, 0]))
    return g.add("Add", made, bias) if bias else made


def _attention(
    g: Writer,
    query: str,
    key: str,
    value: str,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: str | None = None,
    scale: float | None = None,
) -> tuple[str, None]:
    if dropout:
        raise UnsupportedError("dropout in training")
    rank = g.rank(key)
    turned = g.add("Transpose", key, perm=[*range(rank - 2), rank - 1, rank - 2])
    factor = 1 / math.sqrt(g.shapes[query][-1]) if scale is None else scale
    scores = g.add("Mul", g.add("MatMul", query, turned), g.number(factor))
    if is_causal:
        rows, columns = g.shapes[query][-2], g.shapes[key][-2]
        later = np.triu(np.full((rows, columns), np.finfo(np.float32).min, np.float32), 1)
        scores = g.add("Add", scores, g.constant(later))
    if attn_mask is not None:
        scores = g.add("Add", scores, attn_mask)
    return g.add("MatMul", g.add("Softmax", scores, axis=-1), value), None


MATRICES: dict[str, Operator] = {
    "mm.default": _matrix_product,
    "bmm.default": _matrix_product,
    "matmul.default": _matrix_product,
    "addmm.default": _sum_and_product,
    "baddbmm.default": _sum_and_product,
    "linear.default": _linear,
    "_scaled_dot_product_flash_attention_for_cpu.default": _attention,
}
