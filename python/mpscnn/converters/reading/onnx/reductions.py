"""Convert reductions, positions of extrema and running sums. The functions serve constants and tensors alike."""

from __future__ import annotations

from typing import Annotated

from mpscnn.converters.reading.onnx.row_calls import Axes, X
from mpscnn.converters.values.rows import Ints, Operand, Row
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError


def _argument(*, minimum: bool) -> Row:
    """Return the row of ArgMax, or with `minimum` that of ArgMin."""

    def row(x: X, *, axis: int = 0, keepdims: bool = True, select_last_index: bool = False) -> Value:
        along = x.axis(axis)
        places = x.argmax_or_argmin(along, minimum=minimum, last=select_last_index)
        return places if keepdims else places.squeeze([along])

    return row


def _running_sum(
    x: X, axis: Annotated[Ints, Operand("its axis")], *, exclusive: bool = False, reverse: bool = False
) -> Value:
    (along,) = axis
    return x.cumsum(x.axis(along), exclusive=exclusive, backwards=reverse)


def _reduction(kind: str) -> Row:
    """Return the row of a reduction by its kind."""

    def row(
        x: X, axes: Axes | None = None, *, keepdims: bool = True, noop_with_empty_axes: bool = False
    ) -> Value:
        over = sorted({x.axis(axis) for axis in axes or ()})
        if not axes and not noop_with_empty_axes:
            over = list(range(x.rank))
        y = x.reduce(kind, over)
        return y if keepdims else y.squeeze(over)

    return row


def _global_norm(x: X, *, p: int = 2) -> Value:
    """Convert GlobalLpPool: the norm of each channel."""
    kinds = {1: "l1_norm", 2: "l2_norm"}
    if p not in kinds:
        raise UnsupportedError(f"a norm of order {p}; supported are orders 1 and 2")
    return x.reduce(kinds[p], range(2, x.rank))


REDUCTIONS: dict[str, Row] = {
    "ArgMax": _argument(minimum=False),
    "ArgMin": _argument(minimum=True),
    "CumSum": _running_sum,
    "GlobalLpPool": _global_norm,
    "ReduceL1": _reduction("l1_norm"),
    "ReduceL2": _reduction("l2_norm"),
    "ReduceLogSum": _reduction("log_sum"),
    "ReduceLogSumExp": _reduction("log_sum_exp"),
    "ReduceMax": _reduction("max"),
    "ReduceMean": _reduction("mean"),
    "ReduceMin": _reduction("min"),
    "ReduceProd": _reduction("product"),
    "ReduceSum": _reduction("sum"),
    "ReduceSumSquare": _reduction("sum_of_squares"),
}
