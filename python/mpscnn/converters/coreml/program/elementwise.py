"""Convert elementwise functions and arithmetic of programs."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.coreml.program.operation import Handler, Operation, binary, convert_to_op
from mpscnn.converters.onnx_graph.blocks import ANGLES, cast_to_integers
from mpscnn.converters.onnx_graph.builder import BOOL, FLOAT, Builder
from mpscnn.converters.onnx_reader.quantizations import range_of_integers
from mpscnn.errors import UnsupportedError, WeightsError

# A smaller epsilon is left out. It is a denormal float32, which changes a sum only next to 0.
_VANISHING = 1e-38
_GELU_SIGMOID = 1.702  # the factor in x * sigmoid(factor * x)


def _after(kind: str, default: float) -> Handler:
    """Return a function that converts an operation on x + epsilon, such as log and rsqrt."""

    def convert(b: Builder, op: Operation) -> str:
        x, epsilon = op.tensor("x"), op.number("epsilon", default)
        if abs(epsilon) > _VANISHING:
            x = b.op("Add", x, epsilon)
        return b.op("Reciprocal", b.op("Sqrt", x)) if kind == "Rsqrt" else b.op(kind, x)

    return convert


def _gelu(b: Builder, op: Operation) -> str:
    mode, x = op.text("mode", "EXACT"), op.tensor("x")
    if mode == "SIGMOID_APPROXIMATION":
        return b.op("Swish", x, alpha=_GELU_SIGMOID)
    if mode not in ("EXACT", "TANH_APPROXIMATION"):
        raise WeightsError(f"damaged: its mode is {mode!r}")
    return b.op("Gelu", x, approximate="none" if mode == "EXACT" else "tanh")


def _scaled_tanh(b: Builder, op: Operation) -> str:
    """Convert scaled_tanh: alpha * tanh(beta * x)."""
    inner = b.op("Tanh", b.linear(op.tensor("x"), op.number("beta", 1.0), 0.0))
    return b.linear(inner, op.number("alpha", 1.0), 0.0)


def _thresholded(b: Builder, op: Operation) -> str:
    """Convert thresholded_relu: x where it is at least alpha, otherwise 0."""
    x = op.tensor("x")
    return b.op("Where", b.op("Less", x, op.number("alpha", 1.0)), 0.0, x)


def _clamped(b: Builder, op: Operation) -> str:
    low = b.op("LeakyRelu", op.tensor("x"), alpha=op.number("alpha"))
    return b.op("Min", low, op.number("beta"))


def _limit(op: Operation, name: str) -> float:
    value = float(op.array(name).reshape(-1)[0]) if op.array(name).size == 1 else math.nan
    if math.isnan(value):
        raise WeightsError(f"damaged: its {name} is not one number")
    return value


def _along_channels(b: Builder, op: Operation, name: str) -> str:
    """Return a parameter for each channel in a shape that broadcasts to the input."""
    values, rank = op.array(name), b.rank(op.tensor("x"))
    if values.ndim > 1 or rank < 2:
        raise WeightsError(f"damaged: its {name} has the shape {values.shape}")
    return b.weight(name, values.astype("float32").reshape(-1, *[1] * (rank - 2)))


def _softplus_parametric(b: Builder, op: Operation) -> str:
    inner = b.op("Softplus", b.op("Mul", op.tensor("x"), _along_channels(b, op, "beta")))
    return b.op("Mul", inner, _along_channels(b, op, "alpha"))


def _floor_div(b: Builder, op: Operation) -> str:
    quotient = b.op("Div", op.tensor("x"), op.tensor("y"))
    return quotient if b.is_integer(quotient) else b.op("Floor", quotient)


_CASTS = {
    "bool": BOOL,
    "fp16": FLOAT,
    "fp32": FLOAT,
    "fp64": FLOAT,
}
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _cast(b: Builder, op: Operation) -> str:
    wanted, x = op.text("dtype", ""), op.tensor("x")
    if wanted in _INTEGERS:
        return cast_to_integers(b, x, wanted)
    kind = _CASTS.get(wanted)
    if kind is None:
        raise UnsupportedError(f"casts to {wanted!r}, which is not supported")
    if kind == FLOAT and not (b.is_integer(x) or b.is_boolean(x)):
        return x
    return b.op("Cast", x, to=kind)


def _quantize(b: Builder, op: Operation) -> str:
    """Compute the integers of numbers, as floats: x / scale, rounded, plus the zero point, clipped to their type."""
    limits = range_of_integers(op.text("output_dtype", ""))
    if limits is None:
        raise WeightsError("damaged: its output_dtype is not a type of integers")
    x = op.tensor("input")
    y = b.op("Round", b.op("Div", x, _along_axis(b, op, x, "scale")))
    if op.has("zero_point"):
        y = b.op("Add", y, _along_axis(b, op, x, "zero_point"))
    return b.op("Clip", y, *map(float, limits))


def _dequantize(b: Builder, op: Operation) -> str:
    """Compute the numbers of integers: (x - zero point) * scale."""
    x = op.tensor("input")
    y = b.op("Cast", x, to=FLOAT) if b.is_integer(x) else x
    if op.has("zero_point"):
        y = b.op("Sub", y, _along_axis(b, op, x, "zero_point"))
    return b.op("Mul", y, _along_axis(b, op, x, "scale"))


def _along_axis(b: Builder, op: Operation, x: str, role: str) -> str:
    """Return scales or zero points, one or one for each index of the axis, in a form that broadcasts to x."""
    values = op.array(role).astype(np.float32)
    shape = [1] * b.rank(x)
    if values.size > 1:
        shape[b.axis(x, op.integer("axis"))] = values.size
    return b.weight(role, values.reshape(shape if values.size > 1 else ()))


_PLAIN = (
    "Abs", "Ceil", "Erf", "Exp", "Floor", "Relu", "Round", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh",
)  # fmt: skip
"""Functions that ONNX has by the same names."""

ELEMENTWISE: dict[str, Handler] = {
    "add": binary("Add"),
    "cast": _cast,
    "clamped_relu": _clamped,
    "clip": lambda b, op: b.op("Clip", op.tensor("x"), _limit(op, "alpha"), _limit(op, "beta")),
    "dequantize": _dequantize,
    "elu": lambda b, op: b.op("Elu", op.tensor("x"), alpha=op.number("alpha", 1.0)),
    "equal": binary("Equal"),
    "exp2": lambda b, op: b.op("Exp", b.linear(op.tensor("x"), math.log(2.0), 0.0)),
    "floor_div": _floor_div,
    "gelu": _gelu,
    "greater": binary("Greater"),
    "greater_equal": binary("GreaterOrEqual"),
    "identity": lambda _, op: op.tensor("x"),
    "inverse": _after("Reciprocal", 1e-4),
    "leaky_relu": lambda b, op: b.op("LeakyRelu", op.tensor("x"), alpha=op.number("alpha", 0.01)),
    "less": binary("Less"),
    "less_equal": binary("LessOrEqual"),
    "linear_activation": lambda b, op: b.linear(op.tensor("x"), op.number("alpha"), op.number("beta", 0.0)),
    "log": _after("Log", 1e-45),
    "logical_and": binary("And"),
    "logical_not": convert_to_op("Not"),
    "logical_or": binary("Or"),
    "logical_xor": binary("Xor"),
    **{kind.lower(): convert_to_op(kind) for kind in (*ANGLES, *_PLAIN) if kind not in ("Acosh", "Asinh")},
    "maximum": binary("Max"),
    "minimum": binary("Min"),
    "mod": binary("Mod"),
    "mul": binary("Mul"),
    "not_equal": lambda b, op: b.op("Not", b.op("Equal", op.tensor("x"), op.tensor("y"))),
    "pow": binary("Pow"),
    "prelu": lambda b, op: b.op("PRelu", op.tensor("x"), _along_channels(b, op, "alpha")),
    "quantize": _quantize,
    "real_div": binary("Div"),
    "relu6": lambda b, op: b.op("Clip", op.tensor("x"), 0.0, 6.0),
    "rsqrt": _after("Rsqrt", 1e-12),
    "scaled_tanh": _scaled_tanh,
    "select": lambda b, op: b.op("Where", op.tensor("cond"), op.tensor("a"), op.tensor("b")),
    "sigmoid_hard": lambda b, op: b.op(
        "HardSigmoid", op.tensor("x"), alpha=op.number("alpha", 0.2), beta=op.number("beta", 0.5)
    ),
    "silu": convert_to_op("Swish"),
    "softplus_parametric": _softplus_parametric,
    "square": lambda b, op: b.op("Mul", op.tensor("x"), op.tensor("x")),
    "sub": binary("Sub"),
    "threshold": lambda b, op: b.op("Max", op.tensor("x"), op.number("alpha")),
    "thresholded_relu": _thresholded,
}
