"""Write ATen's elementwise functions as ONNX nodes."""

from __future__ import annotations

from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.aten.writer import Operator, Writer


def _function(kind: str, **attributes: Any) -> Operator:
    return lambda g, x: g.add(kind, x, **attributes)


def _gelu(g: Writer, x: str, approximate: str = "none") -> str:
    return g.add("Gelu", x, approximate=approximate)


def _silu(g: Writer, x: str) -> str:
    return g.add("Mul", x, g.add("Sigmoid", x))


def _clamp(g: Writer, x: str, low: float | None = None, high: float | None = None) -> str:
    limits = [None if limit is None else g.number(limit) for limit in (low, high)]
    return g.add("Clip", x, *limits)


def _hardtanh(g: Writer, x: str, low: float = -1.0, high: float = 1.0) -> str:
    return _clamp(g, x, low, high)


def _leaky_relu(g: Writer, x: str, slope: float = 0.01) -> str:
    return g.add("LeakyRelu", x, alpha=float(slope))


def _elu(g: Writer, x: str, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> str:
    if input_scale != 1:
        raise UnsupportedError(f"an ELU with input_scale {input_scale}")
    return g.scaled(g.add("Elu", x, alpha=float(alpha)), scale)


def _celu(g: Writer, x: str, alpha: float = 1.0) -> str:
    return g.add("Celu", x, alpha=float(alpha))


def _prelu(g: Writer, x: str, slope: str) -> str:
    return g.add("PRelu", x, slope)


def _softplus(g: Writer, x: str, beta: float = 1.0, threshold: float = 20.0) -> str:
    # Above the threshold, PyTorch returns x. From 20 on, the exact result is x in float32, too.
    if threshold < 20:
        raise UnsupportedError(f"a softplus with the threshold {threshold}")
    return g.scaled(g.add("Softplus", g.scaled(x, beta)), 1 / beta)


def _sign(g: Writer, x: str) -> str:
    """Write the sign of each element. In PyTorch the sign of NaN is 0."""
    is_number = g.add("Equal", x, x)
    return g.add("Where", is_number, g.add("Sign", x), g.number(0))


def _rsqrt(g: Writer, x: str) -> str:
    return g.add("Reciprocal", g.add("Sqrt", x))


NEURONS: dict[str, Operator] = {
    "relu.default": _function("Relu"),
    "sigmoid.default": _function("Sigmoid"),
    "tanh.default": _function("Tanh"),
    "gelu.default": _gelu,
    "silu.default": _silu,
    "mish.default": _function("Mish"),
    "hardswish.default": _function("HardSwish"),
    "hardsigmoid.default": _function("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardtanh.default": _hardtanh,
    "relu6.default": lambda g, x: _clamp(g, x, 0.0, 6.0),
    "leaky_relu.default": _leaky_relu,
    "elu.default": _elu,
    "celu.default": _celu,
    "_prelu_kernel.default": _prelu,
    "softplus.default": _softplus,
    "abs.default": _function("Abs"),
    "neg.default": _function("Neg"),
    "exp.default": _function("Exp"),
    "log.default": _function("Log"),
    "sqrt.default": _function("Sqrt"),
    "rsqrt.default": _rsqrt,
    "reciprocal.default": _function("Reciprocal"),
    "erf.default": _function("Erf"),
    "floor.default": _function("Floor"),
    "ceil.default": _function("Ceil"),
    "round.default": _function("Round"),
    "sign.default": _sign,
    "clamp.default": _clamp,
    "clamp_min.default": _clamp,
    "clamp_max.default": lambda g, x, high: _clamp(g, x, None, high),
}
