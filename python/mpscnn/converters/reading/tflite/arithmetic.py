"""Convert TensorFlow Lite's elementwise arithmetic: two tensors, a tensor and a constant, or one tensor."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.tflite import integer_forms
from mpscnn.converters.reading.tflite.operation import Operation, Source, tensors, together
from mpscnn.converters.reading.tflite.row_calls import ACTIVATIONS, Either, Fused, Given, X
from mpscnn.converters.values.affine import affine, scale_and_offset
from mpscnn.converters.values.composed_functions import remainder, sine
from mpscnn.converters.values.rows import Row, Stated, ignores
from mpscnn.converters.values.special_values import have_reciprocals
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.converters.values.with_number import with_number
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Values = NDArray[np.float32]
_TWO_TENSORS = {
    "ADD": "add",
    "SUB": "subtract",
    "MUL": "multiply",
    "DIV": "divide",
    "FLOOR_DIV": "divide",
    "MAXIMUM": "maximum",
    "MINIMUM": "minimum",
    "POW": "power",
    "SQUARED_DIFFERENCE": "subtract",
}
_SQUARE: Activation = {"kind": "power", "a": 1.0, "b": 0.0, "c": 2.0}
_AFTER: dict[str, Activation] = {"FLOOR_DIV": "floor", "SQUARED_DIFFERENCE": _SQUARE}

# ---- Two operands ------------------------------------------------------------------------------------------


def _binary(op: Operation, x: Given, y: Given) -> Value:
    return _combined(op, x, y, None)


@ignores("pot_scale_int16")
def _binary_with_activation(
    op: Operation, x: Given, y: Given, *, fused_activation_function: Fused = "NONE"
) -> Value:
    return _combined(op, x, y, ACTIVATIONS[fused_activation_function])


def _combined(op: Operation, x: Source, y: Source, activation: Activation) -> Value:
    if x.is_constant and y.is_constant:
        return _of_constants(op, x, y, activation)
    if x.is_constant or y.is_constant:
        constant, other = (x, y) if x.is_constant else (y, x)
        found = _with_constant(op, other, constant, activation, constant_first=constant is x)
        if found is not None:
            return found
    if op.kind in ("MAXIMUM", "MINIMUM") and op.are_integers(x, y):
        return integer_forms.maximum_or_minimum(op, x, y)
    first, second = tensors([x, y])
    operation, after = _TWO_TENSORS[op.kind], _AFTER.get(op.kind)
    if after:
        return first.combine(operation, second, "/first", activation).map(after)
    return first.combine(operation, second, "", op.fused(activation))


def _of_constants(op: Operation, x: Source, y: Source, activation: Activation) -> Value:
    if activation is not None or op.kind == "SQUARED_DIFFERENCE":
        raise UnsupportedError("all its inputs are constants, which is not supported")
    first, second = together([x, y])
    return first.combine("floor_divide" if op.kind == "FLOOR_DIV" else _TWO_TENSORS[op.kind], second)


def _sum(*x: Given) -> Value:
    first, *others = together(x)
    for other in others:
        first = first.combine("add", other)
    return first


def _remainder(x: Given, y: Given) -> Value:
    """Convert FLOOR_MOD: the rest of a division has the sign of the divisor."""
    first, second = together([x, y])
    return remainder(first, second, of_dividend=False)


# ---- A constant --------------------------------------------------------------------------------------------


def _with_constant(
    op: Operation,
    operand: Source,
    constant: Source,
    activation: Activation,
    *,
    constant_first: bool,
) -> FileTensor | None:
    """Convert arithmetic with a constant that is one number, or has one number for each channel.

    Return None for other constants and for quantized ones. The caller then converts the constant to a tensor.
    """
    values, x = constant.real("its operand"), operand.computed()
    kind = op.kind
    if kind == "FLOOR_DIV" or values.size == 0 or values.ndim > x.rank:
        return None
    if kind in ("ADD", "SUB", "MUL") and op.are_integers(operand, constant):
        return None
    if kind in ("MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"):
        if values.size != 1:
            return None
        number = float(values.reshape(-1)[0])
        if kind == "POW":
            return with_number(x, "power", number, is_first=constant_first)
        function: Activation = {"kind": "power", "a": 1.0, "b": -number, "c": 2.0}
        if kind != "SQUARED_DIFFERENCE":
            number = op.c.integers.reinterpreted_number(constant.index, op.result, number)
            limits = (number, _LARGEST) if kind == "MAXIMUM" else (-_LARGEST, number)
            function = op.fused({"kind": "clamp", "a": limits[0], "b": limits[1]})
        return x.map(function)
    if kind == "DIV" and constant_first and values.size == 1:
        return x.reciprocal(float(values.reshape(-1)[0]), op.fused(activation))
    if kind == "DIV" and (constant_first or not have_reciprocals(values)):
        return None
    if values.size > 1 and not (values.size == values.shape[-1] == x.shape[-1]):
        return None
    if values.size > 1:
        x = op.c.plain(x)
    scale, offset = scale_and_offset(_TWO_TENSORS[kind], values, constant_first=constant_first)
    fused = op.fused(activation)
    name = op.name()
    return x.with_same_layout(
        affine(op.network, x.tensor, scale=scale, offset=offset, activation=fused, name=name)
    )


# ---- One operand -------------------------------------------------------------------------------------------

_LARGEST = float(np.finfo(np.float32).max)
_FUNCTIONS: dict[str, Activation] = {
    "ABS": "absolute",
    "CEIL": "ceil",
    "ELU": "elu",
    "EXP": "exponential",
    "FLOOR": "floor",
    "HARD_SWISH": "hard_swish",
    "LOG": "logarithm",
    "LOGISTIC": "sigmoid",
    "NEG": {"kind": "linear", "a": -1.0},
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_0_TO_1": {"kind": "clamp", "a": 0.0, "b": 1.0},
    "RELU_N1_TO_1": {"kind": "clamp", "a": -1.0, "b": 1.0},
    "ROUND": "round",
    "SIGN": "sign",
    "SQUARE": {"kind": "power", "a": 1.0, "b": 0.0, "c": 2.0},
    "TANH": "tanh",
}


def _function(function: Activation) -> Row:
    def row(op: Operation, x: X) -> Value:
        return x.map(op.fused(function))

    return row


def _root(*, inverse: bool) -> Row:
    function: Activation = {"kind": "power", "a": 1.0, "b": 0.0, "c": -0.5 if inverse else 0.5}

    def row(op: Operation, x: Given) -> Value:
        own, fused = x.computed(), op.fused(function)
        return own.sqrt(inverse=inverse) if op.c.integers.of(x.index) is None else own.map(fused)

    return row


def _leaky_relu(op: Operation, x: X, *, alpha: float) -> Value:
    return x.map(op.fused({"kind": "relu", "a": alpha}))


def _gelu(op: Operation, x: X, *, approximate: bool = False) -> Value:
    return x.map(op.fused("gelu_tanh" if approximate else "gelu"))


def _sine(*, shifted: bool) -> Row:
    def row(x: Either) -> Value:
        return sine(x, shifted=shifted)

    return row


def _fake_quantization(
    x: X, *, low: Annotated[float, Stated("min")], high: Annotated[float, Stated("max")], num_bits: int,
    narrow_range: bool,
) -> Value:  # fmt: skip
    """Convert FAKE_QUANT: round to one of 2 ** bits numbers. Their limits are shifted so that 0 is one of them."""
    if narrow_range:
        raise UnsupportedError("its range is narrow, as only that of weights is in training")
    finite = math.isfinite(low) and math.isfinite(high)
    if not (finite and low <= 0.0 <= high and low < high and 2 <= num_bits <= 16):
        raise WeightsError(f"damaged: its limits are {low} and {high}, with {num_bits} bits")
    steps = (1 << num_bits) - 1
    scale = float(np.float32(high - low) / np.float32(steps))
    zero = math.floor(float(np.float32(-low) / np.float32(scale)) + 0.5)  # computed in float32, as in LiteRT
    limits: Activation = {"kind": "clamp", "a": -zero * scale, "b": (steps - zero) * scale}
    to_numbers: Activation = {"kind": "linear", "a": 1.0 / scale, "b": zero + 0.5}
    x = x.map(limits, "/1").map(to_numbers, "/2").map("floor", "/3")
    return x.linear(scale, -zero * scale)


def _prelu(op: Operation, source: Given, slopes: Given) -> Value | Tensor:
    """Convert PRELU: one slope, or one for each channel, becomes a PReLU layer; others a product with min(x, 0)."""
    slope, x = slopes.real("its slopes"), source.computed()
    if op.are_integers(source, slopes):
        return _prelu_by_parts(op, source, slopes, slope)
    if slope.size == 0 or slope.ndim > x.rank or slope.size not in (1, slope.shape[-1]):
        return _prelu_by_parts(op, source, slopes, slope)
    tensor = source.tensor()
    channels = tensor.shape[-1] or 0
    if slope.size not in (1, channels):
        raise WeightsError(f"damaged: slopes of shape {slope.shape} for {x.shown}")
    name = op.name()
    y = op.network.activation(tensor, "prelu", name=name)
    op.network.graph.set_weight(name, "slope", np.resize(slope, channels))
    return y


def _prelu_by_parts(op: Operation, source: Source, slopes: Source, values: Values) -> FileTensor:
    x = source.computed()
    low: Activation = {"kind": "clamp", "a": -float(np.finfo(np.float32).max), "b": 0.0}
    below = x.map(low, "/below")
    above = x.map("relu", "/above")
    slope = slopes.layer_of(values, x)
    slopes.note(slope.tensor)
    source.note(below.tensor)
    op.note(above.tensor)
    scaled = below.combine("multiply", slope, "/scaled")
    op.note(scaled.tensor)
    return above.combine("add", scaled, "", op.fused(None))


ARITHMETIC: dict[str, Row] = {
    **dict.fromkeys(_TWO_TENSORS, _binary),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV"), _binary_with_activation),
    **{kind: _function(function) for kind, function in _FUNCTIONS.items()},
    "ADD_N": _sum,
    "COS": _sine(shifted=True),
    "FAKE_QUANT": _fake_quantization,
    "FLOOR_MOD": _remainder,
    "GELU": _gelu,
    "LEAKY_RELU": _leaky_relu,
    "PRELU": _prelu,
    "RSQRT": _root(inverse=True),
    "SIN": _sine(shifted=False),
    "SQRT": _root(inverse=False),
}
