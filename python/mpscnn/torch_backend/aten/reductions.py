"""Write ATen's reductions and softmax as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.aten.writer import Operator, Writer


def _reduction(kind: str) -> Operator:
    def write(
        g: Writer, x: str, axes: Sequence[int] | int | None = None, keepdim: bool = False, **_: Any
    ) -> str:
        return g.add(kind, x, g.integers(g.axes(x, axes)), keepdims=int(keepdim))

    return write


def _extreme(kind: str) -> Operator:
    """Return a function that writes max or min along an axis. Its second result, the index, is not computed."""
    reduce = _reduction(kind)

    def write(g: Writer, x: str, axis: int, keepdim: bool = False) -> tuple[str, None]:
        return str(reduce(g, x, axis, keepdim)), None

    return write


def _deviations(
    g: Writer, x: str, axes: Sequence[int] | int | None, correction: float | None, keepdim: bool
) -> tuple[str, str]:
    """Write var_mean: the variance and the mean over axes."""
    numbers = g.axes(x, axes)
    along = g.integers(numbers)
    mean = g.add("ReduceMean", x, along, keepdims=1)
    difference = g.add("Sub", x, mean)
    variance = g.add("ReduceMean", g.add("Mul", difference, difference), along, keepdims=int(keepdim))
    count = math.prod(g.shapes[x][axis] for axis in numbers)
    taken = 1.0 if correction is None else correction
    if count <= taken:
        raise UnsupportedError(f"a variance of {count} elements with the correction {taken:g}")
    return g.scaled(variance, count / (count - taken)), mean if keepdim else g.add(
        "ReduceMean", x, along, keepdims=0
    )


def _variance(
    g: Writer,
    x: str,
    axes: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> str:
    return _deviations(g, x, axes, correction, keepdim)[0]


def _variance_and_mean(
    g: Writer,
    x: str,
    axes: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[str, str]:
    return _deviations(g, x, axes, correction, keepdim)


def _deviation(
    g: Writer,
    x: str,
    axes: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> str:
    return g.add("Sqrt", _deviations(g, x, axes, correction, keepdim)[0])


def _vector_norm(
    g: Writer,
    x: str,
    order: float = 2,
    axes: Sequence[int] | None = None,
    keepdim: bool = False,
) -> str:
    kinds = {2: "ReduceL2", 1: "ReduceL1"}
    if order not in kinds:
        raise UnsupportedError(f"a norm of the order {order}; supported are 1 and 2")
    return _reduction(kinds[int(order)])(g, x, axes, keepdim)  # type: ignore[return-value]


def _softmax(kind: str) -> Operator:
    return lambda g, x, axis, *_: g.add(kind, x, axis=axis)


REDUCTIONS: dict[str, Operator] = {
    "mean.dim": _reduction("ReduceMean"),
    "mean.default": _reduction("ReduceMean"),
    "sum.dim_IntList": _reduction("ReduceSum"),
    "sum.default": _reduction("ReduceSum"),
    "amax.default": _reduction("ReduceMax"),
    "amin.default": _reduction("ReduceMin"),
    "max.dim": _extreme("ReduceMax"),
    "min.dim": _extreme("ReduceMin"),
    "prod.dim_int": _reduction("ReduceProd"),
    "logsumexp.default": _reduction("ReduceLogSumExp"),
    "linalg_vector_norm.default": _vector_norm,
    "norm.ScalarOpt_dim": _vector_norm,
    "var.correction": _variance,
    "var_mean.correction": _variance_and_mean,
    "std.correction": _deviation,
    "_softmax.default": _softmax("Softmax"),
    "_log_softmax.default": _softmax("LogSoftmax"),
}
