"""Convert matrix products, reductions and softmax."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.blocks import transpose_last_axes
from mpscnn.converters.reading.graph.builder import FLOAT, Builder
from mpscnn.converters.reading.tensorflow.operation import Operation, Place
from mpscnn.converters.reading.tensorflow.windows import convert_fused
from mpscnn.converters.values.rows import Ints, Name, Operand, Row, ignores


@ignores("grad_a", "grad_b")
def _matmul(b: Builder, x: Name, y: Name, *, transpose_a: bool = False, transpose_b: bool = False) -> str:
    x = transpose_last_axes(b, x) if transpose_a else x
    return ops.matmul(b, x, transpose_last_axes(b, y) if transpose_b else y)


@ignores("grad_x", "grad_y")
def _batch_matmul(b: Builder, x: Name, y: Name, *, adj_x: bool = False, adj_y: bool = False) -> str:
    return _matmul(b, x, y, transpose_a=adj_x, transpose_b=adj_y)


@ignores("N")
def _einsum(b: Builder, *x: Name, equation: str = "") -> str:
    return ops.einsum(b, *x, equation=equation)


Axes = Annotated[Ints, Operand("axes")]


def _reduction(reduce: ops.Reduction) -> Row:
    def row(b: Builder, x: Name, axes: Axes, *, keep_dims: bool = False) -> str:
        return reduce(b, x, axes, keepdims=keep_dims) if axes else x

    return row


def _truth(extreme: ops.Reduction) -> Row:
    """Return the row of All or Any, which is the smallest or largest of the numbers 0 and 1."""

    def row(b: Builder, x: Name, axes: Axes, *, keep_dims: bool = False) -> str:
        made = extreme(b, ops.cast(b, x, to=FLOAT), axes, keepdims=keep_dims)
        return ops.logical_not(b, ops.equal(b, made, 0.0))

    return row


Axis = Annotated[int, Operand("axis")]


def _cumulative(b: Builder, x: Name, axis: Axis, *, exclusive: bool = False, reverse: bool = False) -> str:
    return ops.cumulative_sum(b, x, [axis], exclusive=int(exclusive), reverse=int(reverse))


def _best(place: ops.Place) -> Row:
    def row(b: Builder, op: Operation, x: Place, axis: Axis = 0) -> str:
        return place(b, op.tensor(x), axis=axis, keepdims=False)

    return row


@ignores("sorted")
def _top(b: Builder, x: Name, count: Annotated[int, Operand("count")]) -> list[str]:
    return ops.top_k(b, x, [count], axis=-1, largest=1, sorted=1)


def _softmax(function: ops.Along) -> Row:
    def row(b: Builder, x: Name) -> str:
        return function(b, x, axis=-1)

    return row


ROWS: dict[str, Row] = {
    "All": _truth(ops.reduce_min),
    "Any": _truth(ops.reduce_max),
    "ArgMax": _best(ops.arg_max),
    "ArgMin": _best(ops.arg_min),
    "BatchMatMul": _batch_matmul,
    "BatchMatMulV2": _batch_matmul,
    "BatchMatMulV3": _batch_matmul,
    "Cumsum": _cumulative,
    "Einsum": _einsum,
    "LogSoftmax": _softmax(ops.log_softmax),
    "MatMul": _matmul,
    "Max": _reduction(ops.reduce_max),
    "Mean": _reduction(ops.reduce_mean),
    "Min": _reduction(ops.reduce_min),
    "Prod": _reduction(ops.reduce_prod),
    "Softmax": _softmax(ops.softmax),
    "Sum": _reduction(ops.reduce_sum),
    "TopKV2": _top,
    "_FusedMatMul": convert_fused(_matmul),
}
