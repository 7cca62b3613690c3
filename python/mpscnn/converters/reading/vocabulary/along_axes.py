"""The functions along axes: reductions, softmax, positions of extremes, and sums up to each element."""

from __future__ import annotations

from typing import Protocol

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import added, adds, several


class Reduction(Protocol):
    """Adds a reduction of some axes."""

    def __call__(self, g: Operators, x: Operand, axes: Operand, /, *, keepdims: int) -> str:
        """Add the reduction. Its axes stay with the extent 1 if `keepdims` is 1."""


class Along(Protocol):
    """Adds a function along one axis."""

    def __call__(self, g: Operators, x: Operand, /, *, axis: int) -> str:
        """Add the function."""


class Place(Protocol):
    """Adds the position of the largest or smallest element of an axis."""

    def __call__(self, g: Operators, x: Operand, /, *, axis: int, keepdims: int) -> str:
        """Add the position."""


def _reduction(kind: str) -> Reduction:
    @adds(kind)
    def function(g: Operators, x: Operand, axes: Operand, /, *, keepdims: int) -> str:
        return added(g, function, x, axes, keepdims=keepdims)

    return function


def _along(kind: str) -> Along:
    @adds(kind)
    def function(g: Operators, x: Operand, /, *, axis: int) -> str:
        return added(g, function, x, axis=axis)

    return function


def _place(kind: str) -> Place:
    @adds(kind)
    def function(g: Operators, x: Operand, /, *, axis: int, keepdims: int) -> str:
        return added(g, function, x, axis=axis, keepdims=keepdims)

    return function


reduce_l1 = _reduction("ReduceL1")
reduce_l2 = _reduction("ReduceL2")
reduce_log_sum = _reduction("ReduceLogSum")
reduce_log_sum_exp = _reduction("ReduceLogSumExp")
reduce_max = _reduction("ReduceMax")
reduce_mean = _reduction("ReduceMean")
reduce_min = _reduction("ReduceMin")
reduce_prod = _reduction("ReduceProd")
reduce_sum = _reduction("ReduceSum")
reduce_sum_square = _reduction("ReduceSumSquare")

log_softmax = _along("LogSoftmax")
softmax = _along("Softmax")

arg_max = _place("ArgMax")
arg_min = _place("ArgMin")


@adds("CumSum")
def cumulative_sum(
    g: Operators, x: Operand, axis: Operand, *, exclusive: int | None = None, reverse: int | None = None
) -> str:
    """Add the sums of all elements up to each, along an axis."""
    return added(g, cumulative_sum, x, axis, exclusive=exclusive, reverse=reverse)


@adds("TopK")
def top_k(
    g: Operators, x: Operand, count: Operand, *, axis: int, largest: int, sorted: int | None = None
) -> list[str]:
    """Add the largest or smallest elements of an axis, and their positions."""
    return several(g, top_k, [x, count], 2, axis=axis, largest=largest, sorted=sorted)
