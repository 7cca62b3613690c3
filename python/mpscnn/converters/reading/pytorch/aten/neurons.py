"""Write ATen's elementwise functions as ONNX nodes."""

from __future__ import annotations

import math
from typing import Any

from mpscnn.converters.reading.onnx.near_zero import expm1, log1p
from mpscnn.converters.reading.pytorch.aten.writer import Operator, Writer, several
from mpscnn.errors import UnsupportedError

_NO_TAIL = 20.0  # the tail of the normal distribution beyond this number is 0 in float32


def _function(kind: str, **attributes: Any) -> Operator:
    return lambda g, x: g.op(kind, g.operand(x), **attributes)


def _clamp(g: Writer, x: str, low: float | None = None, high: float | None = None) -> str:
    return g.op("Clip", x, low, high)


def _limited(g: Writer, x: str, low: str | None = None, high: str | None = None) -> str:
    x = x if low is None else g.op("Max", x, g.operand(low))
    return x if high is None else g.op("Min", x, g.operand(high))


def _elu(g: Writer, x: str, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> str:
    if input_scale != 1:
        raise UnsupportedError(f"an ELU with input_scale {input_scale}")
    return g.scaled(g.op("Elu", x, alpha=float(alpha)), scale)


def _prelu(g: Writer, x: str, slope: str) -> str:
    """Write a PReLU. One slope for each channel needs an axis for each axis after the channels."""
    extents = g.shapes[slope]
    if len(extents) == 1 and extents[0] != 1 and g.rank(x) > 2:
        slope = g.reshaped(slope, [extents[0], *[1] * (g.rank(x) - 2)])
    return g.op("PRelu", x, slope)


def _softplus(g: Writer, x: str, beta: float = 1.0, threshold: float = 20.0) -> str:
    # Above the threshold, PyTorch returns x. From 20 on, the exact result is x in float32, too.
    if threshold < 20:
        raise UnsupportedError(f"a softplus with the threshold {threshold}")
    return g.scaled(g.op("Softplus", g.scaled(x, beta)), 1 / beta)


def _sign(g: Writer, x: str) -> str:
    """Write the sign of each element. In PyTorch the sign of NaN is 0."""
    return g.op("Where", g.op("Equal", x, x), g.op("Sign", x), 0)


def _log_sigmoid(g: Writer, x: str) -> str:
    """Write the logarithm of the sigmoid, which becomes one layer. The sigmoid itself would be 0 below -104."""
    return g.op("Log", g.op("Sigmoid", x))


def _expm1(g: Writer, x: str) -> str:
    return g.op(*expm1(g, g.operand(x)))


def _erfc(g: Writer, x: str) -> str:
    """Write 1 - erf(x), or above 1/2, where that loses digits, the tail of the normal distribution.

    With y = -sqrt(2) x, the tail times y is GELU(y).
    """
    y = g.op("Clip", g.op("Mul", x, -math.sqrt(2.0)), -_NO_TAIL, None)
    tail = g.op("Div", g.op("Gelu", y), g.op("Mul", y, 0.5))
    return g.op("Where", g.op("Greater", x, 0.5), tail, g.op("Sub", 1.0, g.op("Erf", x)))


def _logarithm(base: float) -> Operator:
    return lambda g, x: g.scaled(g.op("Log", g.operand(x)), 1 / math.log(base))


def _nothing_dropped(g: Writer, x: str, _: float = 0.5, train: bool = False) -> str:
    if train:
        raise UnsupportedError("dropout in training")
    return g.op("Identity", x)


_PLAIN = (
    "relu", "sigmoid", "tanh", "mish", "selu", "softsign", "abs", "neg", "exp", "log", "sqrt", "reciprocal", "erf",
    "floor", "ceil", "round", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
)  # fmt: skip
"""Functions that ONNX has by the same names."""

NEURONS: dict[str, Operator] = {
    **{f"{name}.default": _function(name.capitalize()) for name in _PLAIN},
    "special_erf.default": _function("Erf"),
    "gelu.default": lambda g, x, approximate="none": g.op("Gelu", x, approximate=approximate),
    "silu.default": lambda g, x: g.op("Mul", x, g.op("Sigmoid", x)),
    "hardswish.default": _function("HardSwish"),
    "hardsigmoid.default": _function("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardtanh.default": lambda g, x, low=-1.0, high=1.0: _clamp(g, x, low, high),
    **several(_log_sigmoid, "logsigmoid log_sigmoid"),
    "threshold.default": lambda g, x, limit, value: g.op("Where", g.op("LessOrEqual", x, limit), value, x),
    # x without its part between -limit and limit.
    "softshrink.default": lambda g, x, limit=0.5: g.op("Sub", x, _clamp(g, x, -limit, limit)),
    **several(_prelu, "prelu _prelu_kernel"),
    "square.default": lambda g, x: g.op("Mul", x, x),
    "log1p.default": lambda g, x: g.op(*log1p(g, g.operand(x))),
    "log2.default": _logarithm(2.0),
    "log10.default": _logarithm(10.0),
    **several(_expm1, "expm1 special_expm1"),
    "trunc.default": lambda g, x: g.op("Mul", g.op("Sign", x), g.op("Floor", g.op("Abs", x))),
    "isnan.default": lambda g, x: g.op("IsNaN", x),
    "relu6.default": lambda g, x: _clamp(g, x, 0.0, 6.0),
    "leaky_relu.default": lambda g, x, slope=0.01: g.op("LeakyRelu", x, alpha=float(slope)),
    "elu.default": _elu,
    "celu.default": lambda g, x, alpha=1.0: g.op("Celu", x, alpha=float(alpha)),
    "softplus.default": _softplus,
    "rsqrt.default": lambda g, x: g.op("Reciprocal", g.op("Sqrt", x)),
    "erfc.default": _erfc,
    "exp2.default": lambda g, x: g.op("Exp", g.scaled(g.operand(x), math.log(2.0))),
    "isinf.default": lambda g, x: g.op("IsInf", x),
    "sign.default": _sign,
    **several(_clamp, "clamp clamp_min clip"),
    "clamp_max.default": lambda g, x, high: _clamp(g, x, None, high),
    **several(_limited, "clamp.Tensor clamp_min.Tensor"),
    "clamp_max.Tensor": lambda g, x, high: _limited(g, x, None, high),
    **several(_nothing_dropped, "dropout feature_dropout alpha_dropout feature_alpha_dropout"),
}
