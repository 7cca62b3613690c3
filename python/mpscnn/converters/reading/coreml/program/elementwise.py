"""Convert elementwise functions and arithmetic of programs."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.program.constants import Array as Numbers
from mpscnn.converters.reading.coreml.program.row_calls import (
    NO_TEXT,
    Array,
    Real,
    Tensor,
    Text,
    Whole,
    binary,
    unary,
)
from mpscnn.converters.reading.graph.blocks import cast_to_float, cast_to_integers
from mpscnn.converters.reading.graph.builder import BOOL, FLOAT, INT64, Builder
from mpscnn.converters.values.integer_limits import range_of_integers
from mpscnn.converters.values.rows import Operand, Row, Stated
from mpscnn.errors import UnsupportedError, WeightsError

# A smaller epsilon is left out. It is a denormal float32, which changes a sum only next to 0.
_VANISHING = 1e-38
_GELU_SIGMOID = 1.702  # the factor in x * sigmoid(factor * x)


def _after(function: ops.Unary, default: float) -> Row:
    """Return the row of an operation on x + epsilon, such as log and rsqrt."""

    def row(b: Builder, x: Tensor, epsilon: Real = default) -> str:
        if abs(epsilon) > _VANISHING:
            x = ops.add(b, x, epsilon)
        return function(b, x)

    return row


Gelu = Literal["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"]


def _gelu(b: Builder, x: Tensor, mode: Annotated[Gelu, Operand()] = "EXACT") -> str:
    if mode == "SIGMOID_APPROXIMATION":
        return ops.swish(b, x, alpha=_GELU_SIGMOID)
    return ops.gelu(b, x, approximate="none" if mode == "EXACT" else "tanh")


def _scaled_tanh(b: Builder, x: Tensor, alpha: Real = 1.0, beta: Real = 1.0) -> str:
    """Convert scaled_tanh: alpha * tanh(beta * x)."""
    return b.linear(ops.tanh(b, b.linear(x, beta, 0.0)), alpha, 0.0)


def _thresholded(b: Builder, x: Tensor, alpha: Real = 1.0) -> str:
    """Convert thresholded_relu: x where it is at least alpha, otherwise 0."""
    return ops.where(b, ops.less(b, x, alpha), 0.0, x)


def _threshold(b: Builder, x: Tensor, alpha: Real) -> str:
    return ops.maximum(b, x, alpha)


def _clamped(b: Builder, x: Tensor, alpha: Real, beta: Real) -> str:
    return ops.minimum(b, ops.leaky_relu(b, x, alpha=alpha), beta)


def _clip(b: Builder, x: Tensor, alpha: Array, beta: Array) -> str:
    return ops.clip(b, x, _limit(alpha, "alpha"), _limit(beta, "beta"))


def _limit(values: Numbers, name: str) -> float:
    value = float(values.reshape(())) if values.size == 1 else math.nan
    if math.isnan(value):
        raise WeightsError(f"damaged: its {name} is not one number")
    return value


def _limited(b: Builder, x: Tensor) -> str:
    return ops.clip(b, x, 0.0, 6.0)


def _elu(b: Builder, x: Tensor, alpha: Real = 1.0) -> str:
    return ops.elu(b, x, alpha=alpha)


def _leaky_relu(b: Builder, x: Tensor, alpha: Real = 0.01) -> str:
    return ops.leaky_relu(b, x, alpha=alpha)


def _linear(b: Builder, x: Tensor, alpha: Real, beta: Real = 0.0) -> str:
    return b.linear(x, alpha, beta)


def _hard_sigmoid(b: Builder, x: Tensor, alpha: Real = 0.2, beta: Real = 0.5) -> str:
    return ops.hard_sigmoid(b, x, alpha=alpha, beta=beta)


def _power_of_two(b: Builder, x: Tensor) -> str:
    return ops.exp(b, b.linear(x, math.log(2.0), 0.0))


def _square(b: Builder, x: Tensor) -> str:
    return ops.multiply(b, x, x)


def _same(x: Tensor) -> str:
    return x


def _not_equal(b: Builder, x: Tensor, y: Tensor) -> str:
    return ops.logical_not(b, ops.equal(b, x, y))


def _select(
    b: Builder, cond: Tensor, first: Annotated[Tensor, Stated("a")], second: Annotated[Tensor, Stated("b")]
) -> str:
    return ops.where(b, cond, first, second)


def _along_channels(b: Builder, x: str, values: Numbers, name: str) -> str:
    """Return a parameter for each channel in a shape that broadcasts to the input."""
    rank = b.rank(x)
    if values.ndim > 1 or rank < 2:
        raise WeightsError(f"damaged: its {name} has the shape {values.shape}")
    return b.weight(name, values.astype("float32").reshape(-1, *[1] * (rank - 2)))


def _prelu(b: Builder, x: Tensor, alpha: Array) -> str:
    return ops.prelu(b, x, _along_channels(b, x, alpha, "alpha"))


def _softplus_parametric(b: Builder, x: Tensor, alpha: Array, beta: Array) -> str:
    inner = ops.softplus(b, ops.multiply(b, x, _along_channels(b, x, beta, "beta")))
    return ops.multiply(b, inner, _along_channels(b, x, alpha, "alpha"))


def _floor_div(b: Builder, x: Tensor, y: Tensor) -> str:
    """Divide and round down. Whole numbers that are computed, such as positions, are divided as floats."""
    are_constants = b.constant_of(x) is not None and b.constant_of(y) is not None
    if are_constants and b.is_integer(x):
        return ops.divide(b, x, y)
    if not b.is_integer(x):
        return ops.floor(b, ops.divide(b, x, y))
    quotient = ops.divide(b, cast_to_float(b, x), cast_to_float(b, y))
    return ops.cast(b, ops.floor(b, quotient), to=INT64)


_CASTS = {
    "bool": BOOL,
    "fp16": FLOAT,
    "fp32": FLOAT,
    "fp64": FLOAT,
}
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _cast(b: Builder, x: Tensor, dtype: Text = NO_TEXT) -> str:
    if dtype in _INTEGERS:
        return cast_to_integers(b, x, dtype)
    kind = _CASTS.get(dtype)
    if kind is None:
        raise UnsupportedError(f"casts to {dtype!r}, which is not supported")
    if kind == FLOAT and not (b.is_integer(x) or b.is_boolean(x)):
        return x
    return ops.cast(b, x, to=kind)


Source = Annotated[Tensor, Stated("input")]


def _quantize(
    b: Builder, x: Source, scale: Array, zero_point: Array | None = None, axis: Whole | None = None,
    output_dtype: Text = NO_TEXT,
) -> str:  # fmt: skip
    """Compute the integers of numbers, as floats: x / scale, rounded, plus the zero point, clipped to their type."""
    limits = range_of_integers(output_dtype)
    if limits is None:
        raise WeightsError("damaged: its output_dtype is not a type of integers")
    y = ops.round_to_even(b, ops.divide(b, x, _along_axis(b, x, scale, axis, "scale")))
    if zero_point is not None:
        y = ops.add(b, y, _along_axis(b, x, zero_point, axis, "zero_point"))
    return ops.clip(b, y, *map(float, limits))


def _dequantize(
    b: Builder, x: Source, scale: Array, zero_point: Array | None = None, axis: Whole | None = None
) -> str:
    """Compute the numbers of integers: (x - zero point) * scale."""
    y = ops.cast(b, x, to=FLOAT) if b.is_integer(x) else x
    if zero_point is not None:
        y = ops.subtract(b, y, _along_axis(b, x, zero_point, axis, "zero_point"))
    return ops.multiply(b, y, _along_axis(b, x, scale, axis, "scale"))


def _along_axis(b: Builder, x: str, stated: Numbers, axis: int | None, role: str) -> str:
    """Return scales or zero points, one or one for each index of the axis, in a form that broadcasts to x."""
    values = stated.astype(np.float32)
    if values.size <= 1:
        return b.weight(role, values.reshape(()))
    if axis is None:
        raise WeightsError("damaged: it has no axis")
    shape = [1] * b.rank(x)
    shape[b.axis(x, axis)] = values.size
    return b.weight(role, values.reshape(shape))


_PLAIN = (
    *ops.ANGLES, "abs", "ceil", "erf", "exp", "floor", "relu", "round", "sigmoid", "sign", "softplus",
    "softsign", "sqrt", "tanh",
)  # fmt: skip

ELEMENTWISE: dict[str, Row] = {
    "add": binary(ops.add),
    "cast": _cast,
    "clamped_relu": _clamped,
    "clip": _clip,
    "dequantize": _dequantize,
    "elu": _elu,
    "equal": binary(ops.equal),
    "exp2": _power_of_two,
    "floor_div": _floor_div,
    "gelu": _gelu,
    "greater": binary(ops.greater),
    "greater_equal": binary(ops.greater_or_equal),
    "identity": _same,
    "inverse": _after(ops.reciprocal, 1e-4),
    "leaky_relu": _leaky_relu,
    "less": binary(ops.less),
    "less_equal": binary(ops.less_or_equal),
    "linear_activation": _linear,
    "log": _after(ops.log, 1e-45),
    "logical_and": binary(ops.logical_and),
    "logical_not": unary(ops.logical_not),
    "logical_or": binary(ops.logical_or),
    "logical_xor": binary(ops.logical_xor),
    **{name: unary(ops.PLAIN[name]) for name in _PLAIN if name not in ("acosh", "asinh")},
    "maximum": binary(ops.maximum),
    "minimum": binary(ops.minimum),
    "mod": binary(ops.modulo),
    "mul": binary(ops.multiply),
    "not_equal": _not_equal,
    "pow": binary(ops.power),
    "prelu": _prelu,
    "quantize": _quantize,
    "real_div": binary(ops.divide),
    "relu6": _limited,
    "rsqrt": _after(ops.inverse_root, 1e-12),
    "scaled_tanh": _scaled_tanh,
    "select": _select,
    "sigmoid_hard": _hard_sigmoid,
    "silu": unary(ops.swish),
    "softplus_parametric": _softplus_parametric,
    "square": _square,
    "sub": binary(ops.subtract),
    "threshold": _threshold,
    "thresholded_relu": _thresholded,
}
