"""The products of matrices."""

from __future__ import annotations

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import added, adds, binary

matmul = binary("MatMul")


@adds("Einsum")
def einsum(g: Operators, *x: Operand, equation: str) -> str:
    """Add a sum of products by Einstein's notation."""
    return added(g, einsum, *x, equation=equation)


@adds("Gemm")
def gemm(
    g: Operators, x: Operand, y: Operand, *bias: Operand, alpha: float | None = None, beta: float | None = None,
    transpose_y: int | None = None,
) -> str:  # fmt: skip
    """Add alpha x y + beta bias for matrices. With `transpose_y=1`, y is transposed."""
    return added(g, gemm, x, y, *bias, alpha=alpha, beta=beta, transB=transpose_y)
