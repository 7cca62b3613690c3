"""Write ATen's reductions and softmax as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Results, Writer, several
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

#: Reductions that return a number itself.
_OF_ONE = (ops.reduce_sum, ops.reduce_mean, ops.reduce_max, ops.reduce_min, ops.reduce_prod)


def _reduction(reduce: ops.Reduction) -> Row:
    def write(
        g: Writer, x: str, axes: Sequence[int] | int | None = None, keepdim: bool = False, **_: Any
    ) -> str:
        if not g.rank(x) and reduce in _OF_ONE:
            return ops.identity(g, g.operand(x))
        if reduce is ops.reduce_sum and g.kind_of(x) == "bool":  # float32 counts up to 2^24
            count = reduce(g, g.cast(x, "float"), g.axes(x, axes), keepdims=int(keepdim))
            return g.cast(count, g.kind)
        return reduce(g, g.operand(x), g.axes(x, axes), keepdims=int(keepdim))

    return write


def _extreme(extreme: ops.Reduction, place: ops.Place) -> Row:
    """Return a function that writes max or min along an axis, and its position."""
    reduce = _reduction(extreme)

    def write(g: Writer, x: str, axis: int, keepdim: bool = False) -> tuple[str, str]:
        position = place(g, x, axis=g.axis(x, axis), keepdims=int(keepdim))
        return str(reduce(g, x, axis, keepdim)), position

    return write


def _position(place: ops.Place) -> Row:
    def write(g: Writer, x: str, axis: int | None = None, keepdim: bool = False) -> str:
        if axis is None:
            flat = ops.reshape(g, x, [-1])
            return place(g, flat, axis=0, keepdims=0)
        return place(g, x, axis=g.axis(x, axis), keepdims=int(keepdim))

    return write


def _truth(extreme: ops.Reduction) -> Row:
    """Return a function that writes any (the maximum of truth values) or all (the minimum)."""

    def write(g: Writer, x: str, axes: Sequence[int] | int | None = None, keepdim: bool = False) -> str:
        truths = g.cast(g.cast(x, "bool"), "float")
        made = extreme(g, truths, g.axes(x, axes), keepdims=int(keepdim))
        return ops.greater(g, made, 0.5)

    return write


def _cumulative(g: Writer, x: str, axis: int) -> str:
    place = g.constant(np.asarray(g.axis(x, axis), np.int64))
    return ops.cumulative_sum(g, g.operand(x), place)


def _deviations(
    g: Writer, x: str, axes: Sequence[int] | int | None, correction: float | None, keepdim: bool
) -> tuple[str, str]:
    """Write var_mean: the variance and the mean over axes."""
    numbers = g.axes(x, axes)
    along = numbers
    mean = ops.reduce_mean(g, x, along, keepdims=1)
    difference = ops.subtract(g, x, mean)
    variance = ops.reduce_mean(g, ops.multiply(g, difference, difference), along, keepdims=int(keepdim))
    count = int(math.prod(g.shapes[x][axis] for axis in numbers))
    taken = 1.0 if correction is None else correction
    if count <= taken:
        raise UnsupportedError(f"a variance of {count} elements with the correction {taken:g}")
    return g.scaled(variance, count / (count - taken)), mean if keepdim else ops.reduce_mean(
        g, x, along, keepdims=0
    )


def _spread(root: bool, both: bool) -> Row:
    """Return a function that writes the variance, or its root, and with `both` the mean as well."""

    def write(
        g: Writer,
        x: str,
        axes: Sequence[int] | int | None = None,
        *,
        correction: float | None = None,
        keepdim: bool = False,
    ) -> Results:
        variance, mean = _deviations(g, x, axes, correction, keepdim)
        spread = ops.sqrt(g, variance) if root else variance
        return (spread, mean) if both else spread

    return write


def _vector_norm(
    g: Writer,
    x: str,
    order: float = 2,
    axes: Sequence[int] | None = None,
    keepdim: bool = False,
) -> str:
    kinds = {2: ops.reduce_l2, 1: ops.reduce_l1}
    if math.isinf(order):
        sizes = ops.absolute(g, x)
        extreme = ops.reduce_max if order > 0 else ops.reduce_min
        return extreme(g, sizes, g.axes(x, axes), keepdims=int(keepdim))
    if order not in kinds:
        raise UnsupportedError(f"a norm of the order {order}; supported are 1 and 2")
    return str(_reduction(kinds[int(order)])(g, x, axes, keepdim))


def _norm(
    g: Writer,
    x: str,
    order: float | None = 2,
    axes: Sequence[int] | int | None = None,
    keepdim: bool = False,
) -> str:
    return _vector_norm(g, x, 2 if order is None else order, axes, keepdim)  # type: ignore[arg-type]


def _cosine(g: Writer, x: str, y: str, axis: int = 1, epsilon: float = 1e-8) -> str:
    """Write cosine_similarity: the sum of the products of two vectors, divided by their norms."""
    rank = max(g.rank(x), g.rank(y))
    along = [axis if axis < 0 else axis - rank]
    parts = []
    for one in (x, y):
        norm = ops.maximum(g, ops.reduce_l2(g, one, along, keepdims=1), epsilon)
        parts.append(ops.divide(g, one, norm))
    return ops.reduce_sum(g, ops.multiply(g, *parts), along, keepdims=0)


def _softmax(function: ops.Along) -> Row:
    return lambda g, x, axis, *_: function(g, g.operand(x), axis=axis)


def _old_variance(root: bool, both: bool) -> Row:
    """Return a function for the forms of var, std and their pairs with the mean that have `unbiased`."""
    spread = _spread(root, both)

    def write(
        g: Writer,
        x: str,
        *given: Any,
        dim: Sequence[int] | None = None,
        unbiased: bool = True,
        keepdim: bool = False,
    ) -> Results:
        if given and not isinstance(given[0], bool):
            dim, given = given[0], given[1:]
        flags = [*given, *(unbiased, keepdim)[len(given) :]]
        made: Results = spread(g, x, dim, correction=float(flags[0]), keepdim=flags[1])
        return made

    return write


REDUCTIONS: dict[str, Row] = {
    **several(_reduction(ops.reduce_mean), "mean.dim mean"),
    **several(_reduction(ops.reduce_sum), "sum.dim_IntList sum"),
    **several(_reduction(ops.reduce_max), "amax max"),
    **several(_reduction(ops.reduce_min), "amin min"),
    **several(_reduction(ops.reduce_prod), "prod prod.dim_int"),
    "logsumexp.default": _reduction(ops.reduce_log_sum_exp),
    "max.dim": _extreme(ops.reduce_max, ops.arg_max),
    "min.dim": _extreme(ops.reduce_min, ops.arg_min),
    "argmax.default": _position(ops.arg_max),
    "argmin.default": _position(ops.arg_min),
    **several(_truth(ops.reduce_max), "any any.dim any.dims"),
    **several(_truth(ops.reduce_min), "all all.dim all.dims"),
    "cumsum.default": _cumulative,
    "cosine_similarity.default": _cosine,
    "linalg_vector_norm.default": _vector_norm,
    **several(_norm, "norm.ScalarOpt_dim norm.Scalar"),
    "var.correction": _spread(root=False, both=False),
    "var_mean.correction": _spread(root=False, both=True),
    "std.correction": _spread(root=True, both=False),
    "std_mean.correction": _spread(root=True, both=True),
    **several(_old_variance(root=False, both=False), "var var.dim"),
    **several(_old_variance(root=True, both=False), "std std.dim"),
    **several(_old_variance(root=False, both=True), "var_mean var_mean.dim"),
    **several(_softmax(ops.softmax), "softmax.int _softmax"),
    **several(_softmax(ops.log_softmax), "log_softmax.int _log_softmax"),
}
