"""Convert arithmetic of a tensor and one number to layers of one input, for the readers of several formats."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.values.affine import scale_and_offset
from mpscnn.converters.values.special_values import have_reciprocals
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

_LARGEST = float(np.finfo(np.float32).max)


def with_number(x: FileTensor, operation: str, number: float, *, is_first: bool) -> FileTensor | None:
    """Apply an operation of two operands to each element and a number.

    Args:
        x: the tensor.
        operation: "add", "subtract", "multiply", "divide", "maximum", "minimum" or "power".
        number: the other operand.
        is_first: whether the number is the first operand.

    Returns the result, or None for a quotient that no layer of one input computes: that by a number without a
    reciprocal.
    """
    if operation in ("maximum", "minimum"):
        return x.map(clipping(*((number, math.inf) if operation == "maximum" else (-math.inf, number))))
    if operation == "power":
        return x.exponential(number) if is_first else x.power(number)
    if operation == "divide" and is_first:
        return x.reciprocal(number)
    if operation == "divide" and not have_reciprocals(np.array([number], np.float32)):
        return None
    scale, offset = scale_and_offset(operation, number, constant_first=is_first)
    factor = 1.0 if scale is None else scale
    return x.linear(factor, offset or 0.0) if factor != 1.0 or offset else x


def clipping(low: float, high: float) -> Activation:
    """Return the activation that clips to a range. The lowest and the largest float32 mean no limit."""
    if low > high:  # the upper limit is applied last
        return clipping(high, high)
    if low == math.inf or high == -math.inf:
        raise UnsupportedError(f"its limits are {low} and {high}: nothing but an infinity is within")
    if low == 0.0 < high:
        return "relu" if high >= _LARGEST else {"kind": "relun", "a": 0.0, "b": high}
    if math.isnan(low) or math.isnan(high):
        raise UnsupportedError(f"its limits are {low} and {high}")
    return {"kind": "clamp", "a": max(low, -_LARGEST), "b": min(high, _LARGEST)}
