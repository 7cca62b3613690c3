"""Compute elementwise arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOAT32 = np.finfo(np.float32)


def _power(a: Any, b: Any) -> Any:
    """Compute C's pow, but give NaN where either operand is NaN."""
    return np.where(np.isnan(a) | np.isnan(b), np.nan, np.power(a, b))


def _comparison(function: Any) -> Any:
    return lambda a, b: np.asarray(function(a, b), np.result_type(a, b))


OPERATIONS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": _power,
    "greater": _comparison(np.greater),
    "greater_equal": _comparison(np.greater_equal),
    "equal": _comparison(np.equal),
    "not_equal": _comparison(np.not_equal),
    "mask": lambda a, b: np.where(a != 0, b, 0),
    "mask_out": lambda a, b: np.where(a == 0, b, 0),
}


def strided(x: Any, attributes: dict[str, Any], operand: str) -> Any:
    """Return the elements of an input that its strides select; along an axis with the stride 0, the first one alone."""
    x = np.asarray(x, np.float64)
    for from_end, axis in ((1, "channels"), (2, "x"), (3, "y")):
        if x.ndim - from_end < 1:
            break
        stride = attributes.get(f"{operand}_stride_{axis}", 1)
        part = slice(0, 1) if stride == 0 else slice(None, None, stride)
        x = x[(..., part, *[slice(None)] * (from_end - 1))]
    return x


def arithmetic(operation: str, a: Any, b: Any, attributes: dict[str, Any]) -> Any:
    """Return min(max(primary_scale * a op secondary_scale * b + bias, minimum), maximum)."""
    x = strided(a, attributes, "primary") * attributes.get("primary_scale", 1.0)
    y = strided(b, attributes, "secondary") * attributes.get("secondary_scale", 1.0)
    with np.errstate(all="ignore"):
        result = OPERATIONS[operation](x, y) + attributes.get("bias", 0.0)
    minimum, maximum = attributes.get("minimum", FLOAT32.min), attributes.get("maximum", FLOAT32.max)
    if minimum > FLOAT32.min:
        result = np.maximum(result, minimum)
    return np.minimum(result, maximum) if maximum < FLOAT32.max else result
