"""Convert reductions, positions of extrema and running sums. The functions serve constants and tensors alike."""

from __future__ import annotations

from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError


def _argument(o: Operands) -> Value:
    x, last = o.x(), o.node.flag("select_last_index", default=False)
    axis = x.axis(o.node.integer("axis", 0))
    places = x.argmax_or_argmin(axis, minimum=o.node.kind == "ArgMin", last=last)
    return places if o.node.flag("keepdims", default=True) else places.squeeze([axis])


def _running_sum(o: Operands) -> Value:
    x, (axis,) = o.x(), o.constant(1, "its axis").integers("its axis")
    exclusive, backwards = (o.node.flag(name, default=False) for name in ("exclusive", "reverse"))
    return x.cumsum(x.axis(axis), exclusive=exclusive, backwards=backwards)


_REDUCTIONS = {
    "ReduceL1": "l1_norm",
    "ReduceL2": "l2_norm",
    "ReduceLogSum": "log_sum",
    "ReduceLogSumExp": "log_sum_exp",
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "product",
    "ReduceSum": "sum",
    "ReduceSumSquare": "sum_of_squares",
}


def _reduce(o: Operands) -> Value:
    x, given = o.x(), o.integers("axes", 1, "its axes")
    axes = sorted({x.axis(axis) for axis in given or ()})
    if not given and not o.node.flag("noop_with_empty_axes", default=False):
        axes = list(range(x.rank))
    y = x.reduce(_REDUCTIONS[o.node.kind], axes)
    return y if o.node.flag("keepdims", default=True) else y.squeeze(axes)


def _global_norm(o: Operands) -> Value:
    """Convert GlobalLpPool: the norm of each channel."""
    x, order = o.x(), o.node.integer("p", 2)
    kinds = {1: "l1_norm", 2: "l2_norm"}
    if order not in kinds:
        raise UnsupportedError(f"a norm of order {order}; supported are orders 1 and 2")
    return x.reduce(kinds[order], range(2, x.rank))


REDUCTIONS: dict[str, Row] = {
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "ArgMax": _argument,
    "ArgMin": _argument,
    "CumSum": _running_sum,
    "GlobalLpPool": _global_norm,
}
