"""Compute the range of an operator's result before it is clipped to the range of its integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mpscnn.converters.values.integer_limits import UNLIMITED, Grid, Limits

# For these operators LiteRT's kernels copy, select, average or compare integers without regard to scale and zero point.
# If the result has another scale than the operand, its integers represent other numbers.
_OF_BYTES = frozenset(
    {
        "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "DEPTH_TO_SPACE", "GATHER", "GATHER_ND", "MAXIMUM",
        "MAX_POOL_2D", "MINIMUM", "PAD", "PADV2", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2",
        "SELECT", "SELECT_V2", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE",
        "STRIDED_SLICE", "TILE", "TOPK_V2", "TRANSPOSE",
    }
)  # fmt: skip
# Operators whose results lie between the minimum and the maximum of their operands.
_WITHIN_OPERANDS = _OF_BYTES | {
    "CONCATENATION", "EXPAND_DIMS", "MEAN", "MIRROR_PAD", "PACK", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "UNPACK",
}  # fmt: skip
_WITH_ZEROS = ("PAD", "PADV2")
_MAX_EXPONENT = 80.0


def copies_bytes(kind: str) -> bool:
    """Return True if LiteRT computes an operator on integers without regard to their scales."""
    return kind in _OF_BYTES


def result_limits(kind: str, operands: Sequence[Limits], grid: Grid) -> Limits:
    """Return the range in which an operator's results lie.

    Args:
        kind: the operator, whose result is quantized.
        operands: the ranges of its operands, without truth values and settings.
        grid: the quantization of the result.
    """
    if not operands:
        return UNLIMITED
    if kind in _OF_BYTES and UNLIMITED not in operands:
        return grid.limits
    if kind in _WITHIN_OPERANDS:
        zero = [0.0] if kind in _WITH_ZEROS else []
        return Limits(
            min([*zero, *(own.low for own in operands)]), max([*zero, *(own.high for own in operands)])
        )
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _OF_ONE:
        return _OF_ONE[kind](operands[0])
    if kind in _OF_TWO and len(operands) == 2:
        return _OF_TWO[kind](*operands)
    return UNLIMITED


_FIXED = {
    "L2_NORMALIZATION": Limits(-1.0, 1.0),
    "LOGISTIC": Limits(0.0, 1.0),
    "LOG_SOFTMAX": Limits(-math.inf, 0.0),
    "SOFTMAX": Limits(0.0, 1.0),
    "TANH": Limits(-1.0, 1.0),
}


def _above(minimum: float) -> Callable[[Limits], Limits]:
    """Return a function from x's range to the range of f(x), where f is from `minimum` to max(x, 0)."""
    return lambda x: Limits(minimum, max(x.high, 0.0))


def _clipped(low: float, high: float) -> Callable[[Limits], Limits]:
    return lambda x: Limits(low, high).clipped(x)


_OF_ONE: dict[str, Callable[[Limits], Limits]] = {
    "ABS": lambda x: Limits(max(x.low, -x.high, 0.0), max(-x.low, x.high)),
    "ELU": _above(-1.0),
    "EXP": lambda x: Limits(0.0, math.exp(x.high) if x.high < _MAX_EXPONENT else math.inf),
    "GELU": _above(-0.17),
    "HARD_SWISH": _above(-0.375),
    "NEG": lambda x: Limits(-x.high, -x.low),
    "RELU": _clipped(0.0, math.inf),
    "RELU6": _clipped(0.0, 6.0),
    "RELU_0_TO_1": _clipped(0.0, 1.0),
    "RELU_N1_TO_1": _clipped(-1.0, 1.0),
    "SQRT": lambda x: Limits(0.0, math.sqrt(max(x.high, 0.0))),
    "SQUARE": lambda x: Limits(0.0, max(x.low * x.low, x.high * x.high)),
}


def _products(a: Limits, b: Limits) -> Limits:
    if UNLIMITED in (a, b):
        return UNLIMITED
    ends = [first * second for first in a for second in b]
    return Limits(min(ends), max(ends))


_OF_TWO: dict[str, Callable[[Limits, Limits], Limits]] = {
    "ADD": lambda a, b: Limits(a.low + b.low, a.high + b.high),
    "MUL": _products,
    "SQUARED_DIFFERENCE": lambda a, b: _OF_ONE["SQUARE"](Limits(a.low - b.high, a.high - b.low)),
    "SUB": lambda a, b: Limits(a.low - b.high, a.high - b.low),
}
