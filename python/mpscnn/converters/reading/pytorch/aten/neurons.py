"""Write ATen's elementwise functions as ONNX nodes."""

from __future__ import annotations

import math

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer, several
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError

_NO_TAIL = 20.0  # the tail of the normal distribution beyond this number is 0 in float32


def _function(function: ops.Unary) -> Row:
    return lambda g, x: function(g, g.operand(x))


def _clamp(g: Writer, x: str, low: float | None = None, high: float | None = None) -> str:
    return ops.clip(g, g.operand(x), low, high)


def _limited(g: Writer, x: str, low: str | None = None, high: str | None = None) -> str:
    x = x if low is None else ops.maximum(g, x, g.operand(low))
    return x if high is None else ops.minimum(g, x, g.operand(high))


def _elu(g: Writer, x: str, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> str:
    if input_scale != 1:
        raise UnsupportedError(f"an ELU with input_scale {input_scale}")
    return g.scaled(ops.elu(g, x, alpha=float(alpha)), scale)


def _prelu(g: Writer, x: str, slope: str) -> str:
    """Write a PReLU. One slope for each channel needs an axis for each axis after the channels."""
    extents = g.shapes[slope]
    if len(extents) == 1 and extents[0] != 1 and g.rank(x) > 2:
        slope = g.reshaped(slope, [extents[0], *[1] * (g.rank(x) - 2)])
    return ops.prelu(g, x, slope)


def _softplus(g: Writer, x: str, beta: float = 1.0, threshold: float = 20.0) -> str:
    # Above the threshold, PyTorch returns x. From 20 on, the exact result is x in float32, too.
    if threshold < 20:
        raise UnsupportedError(f"a softplus with the threshold {threshold}")
    return g.scaled(ops.softplus(g, g.scaled(x, beta)), 1 / beta)


def _sign(g: Writer, x: str) -> str:
    """Write the sign of each element. In PyTorch the sign of NaN is 0."""
    return ops.where(g, ops.equal(g, x, x), ops.sign(g, x), 0)


def _log_sigmoid(g: Writer, x: str) -> str:
    """Write the logarithm of the sigmoid, which becomes one layer. The sigmoid itself would be 0 below -104."""
    return ops.log(g, ops.sigmoid(g, x))


def _expm1(g: Writer, x: str) -> str:
    return ops.expm1(g, g.operand(x))


def _erfc(g: Writer, x: str) -> str:
    """Write 1 - erf(x), or above 1/2, where that loses digits, the tail of the normal distribution.

    With y = -sqrt(2) x, the tail times y is GELU(y).
    """
    y = ops.clip(g, ops.multiply(g, x, -math.sqrt(2.0)), -_NO_TAIL, None)
    tail = ops.divide(g, ops.gelu(g, y), ops.multiply(g, y, 0.5))
    return ops.where(g, ops.greater(g, x, 0.5), tail, ops.subtract(g, 1.0, ops.erf(g, x)))


def _logarithm(base: float) -> Row:
    return lambda g, x: g.scaled(ops.log(g, g.operand(x)), 1 / math.log(base))


def _nothing_dropped(g: Writer, x: str, _: float = 0.5, train: bool = False) -> str:
    if train:
        raise UnsupportedError("dropout in training")
    return ops.identity(g, x)


_PLAIN = (
    *ops.ANGLES, "abs", "ceil", "erf", "exp", "floor", "log", "mish", "neg", "reciprocal", "relu", "round",
    "sigmoid", "softsign", "sqrt", "tanh",
)  # fmt: skip

NEURONS: dict[str, Row] = {
    **{f"{name}.default": _function(ops.PLAIN[name]) for name in _PLAIN},
    "selu.default": _function(ops.selu),
    "special_erf.default": _function(ops.erf),
    "gelu.default": lambda g, x, approximate="none": ops.gelu(g, x, approximate=approximate),
    "silu.default": lambda g, x: ops.multiply(g, x, ops.sigmoid(g, x)),
    "hardswish.default": _function(ops.hard_swish),
    "hardsigmoid.default": lambda g, x: ops.hard_sigmoid(g, g.operand(x), alpha=1 / 6, beta=0.5),
    "hardtanh.default": lambda g, x, low=-1.0, high=1.0: _clamp(g, x, low, high),
    **several(_log_sigmoid, "logsigmoid log_sigmoid"),
    "threshold.default": lambda g, x, limit, value: ops.where(g, ops.less_or_equal(g, x, limit), value, x),
    # x without its part between -limit and limit.
    "softshrink.default": lambda g, x, limit=0.5: ops.subtract(g, x, _clamp(g, x, -limit, limit)),
    **several(_prelu, "prelu _prelu_kernel"),
    "square.default": lambda g, x: ops.multiply(g, x, x),
    "log1p.default": lambda g, x: ops.log1p(g, g.operand(x)),
    "log2.default": _logarithm(2.0),
    "log10.default": _logarithm(10.0),
    **several(_expm1, "expm1 special_expm1"),
    "trunc.default": lambda g, x: ops.multiply(g, ops.sign(g, x), ops.floor(g, ops.absolute(g, x))),
    "isnan.default": lambda g, x: ops.is_nan(g, x),
    "relu6.default": lambda g, x: _clamp(g, x, 0.0, 6.0),
    "leaky_relu.default": lambda g, x, slope=0.01: ops.leaky_relu(g, x, alpha=float(slope)),
    "elu.default": _elu,
    "celu.default": lambda g, x, alpha=1.0: ops.celu(g, x, alpha=float(alpha)),
    "softplus.default": _softplus,
    "rsqrt.default": lambda g, x: ops.inverse_root(g, x),
    "erfc.default": _erfc,
    "exp2.default": lambda g, x: ops.exp(g, g.scaled(g.operand(x), math.log(2.0))),
    "isinf.default": lambda g, x: ops.is_infinite(g, x),
    "isfinite.default": lambda g, x: ops.logical_not(
        g, ops.logical_or(g, ops.is_nan(g, x), ops.is_infinite(g, x))
    ),
    "sign.default": _sign,
    **several(_clamp, "clamp clamp_min clip"),
    "clamp_max.default": lambda g, x, high: _clamp(g, x, None, high),
    **several(_limited, "clamp.Tensor clamp_min.Tensor"),
    "clamp_max.Tensor": lambda g, x, high: _limited(g, x, None, high),
    **several(_nothing_dropped, "dropout feature_dropout alpha_dropout feature_alpha_dropout"),
}
