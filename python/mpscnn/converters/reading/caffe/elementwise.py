"""Convert Caffe's elementwise layers."""

from __future__ import annotations

import math
from typing import Annotated

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.row_calls import Number, of_one
from mpscnn.converters.reading.graph.blocks import compare
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Name, Operand, Row, Stated, ignores
from mpscnn.errors import WeightsError


def _relu(b: Builder, x: Name, *, negative_slope: Number = 0.0) -> str:
    return ops.leaky_relu(b, x, alpha=negative_slope) if negative_slope else ops.relu(b, x)


@ignores("engine")
def _relu6(b: Builder, x: Name) -> str:
    return ops.clip(b, x, 0.0, 6.0)


def _clip(
    b: Builder,
    x: Name,
    *,
    low: Annotated[Number, Stated("min")] = 0.0,
    high: Annotated[Number, Stated("max")] = 6.0,
) -> str:
    """Convert Clip. If the limits are in the wrong order, Caffe's results are all the lower limit."""
    return ops.clip(b, x, low, max(high, low))


def _elu(b: Builder, x: Name, *, alpha: Number = 1.0) -> str:
    return ops.elu(b, x, alpha=alpha)


@ignores("channel_shared")
def _prelu(b: Builder, x: Name, slopes: Annotated[Blob, Operand("slopes")]) -> str:
    return ops.prelu(b, x, b.weight("slope", slopes.reshaped(-1, *[1] * (b.rank(x) - 2))))


def _power(b: Builder, x: Name, *, power: Number = 1.0, scale: Number = 1.0, shift: Number = 0.0) -> str:
    """Convert Power: (shift + scale * x)^power."""
    y = b.linear(x, scale, shift)
    return ops.identity(b, y) if power == 1.0 else ops.power(b, y, power)


def _exponential(
    b: Builder, x: Name, *, base: Number = -1.0, scale: Number = 1.0, shift: Number = 0.0
) -> str:
    """Convert Exp: base^(shift + scale * x)."""
    factor = _natural(base)
    return ops.exp(b, b.linear(x, scale * factor, shift * factor))


def _logarithm(b: Builder, x: Name, *, base: Number = -1.0, scale: Number = 1.0, shift: Number = 0.0) -> str:
    """Convert Log: the logarithm of shift + scale * x to a base."""
    return b.linear(ops.log(b, b.linear(x, scale, shift)), 1.0 / _natural(base), 0.0)


def _natural(base: float) -> float:
    """Return the natural logarithm of a base. A base of -1 means e."""
    if base != -1.0 and (base <= 0.0 or base == 1.0):
        raise WeightsError(f"damaged: its base is {base}")
    return 1.0 if base == -1.0 else math.log(base)


@ignores("engine")
def _sigmoid(b: Builder, x: Name) -> str:
    return ops.sigmoid(b, x)


@ignores("engine")
def _tanh(b: Builder, x: Name) -> str:
    return ops.tanh(b, x)


def _threshold(b: Builder, x: Name, *, threshold: Number = 0.0) -> str:
    """Convert Threshold: 1 where x is greater than the threshold, otherwise 0."""
    return compare(b, ops.greater, x, threshold)


def _swish(b: Builder, x: Name, *, beta: Number = 1.0) -> str:
    """Convert Swish: x * sigmoid(beta * x)."""
    return ops.swish(b, x, alpha=beta)


ELEMENTWISE: dict[str, Row] = {
    "AbsVal": of_one(ops.absolute),
    "BNLL": of_one(ops.softplus),
    "Clip": _clip,
    "ELU": _elu,
    "Exp": _exponential,
    "Log": _logarithm,
    "PReLU": _prelu,
    "Power": _power,
    "ReLU": _relu,
    "ReLU6": _relu6,
    "Sigmoid": _sigmoid,
    "Swish": _swish,
    "TanH": _tanh,
    "Threshold": _threshold,
}
