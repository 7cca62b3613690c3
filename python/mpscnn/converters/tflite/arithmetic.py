"""Convert TensorFlow Lite's elementwise arithmetic: two tensors, a tensor and a constant, or one tensor."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import affine, scale_and_offset
from mpscnn.converters.composed_functions import remainder, sine
from mpscnn.converters.special_values import have_reciprocals
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.converters.with_number import with_number
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation

Values = NDArray[np.float32]
_TWO_TENSORS = {
    "ADD": "add",
    "ADD_N": "add",
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


def _binary(o: Operation) -> Made:
    activation = o.activation(0) if o.kind in ("ADD", "SUB", "MUL", "DIV") else None
    constants = [place for place in (0, 1) if o.is_constant(place)]
    if len(constants) == 2:
        return _of_constants(o, activation)
    if constants:
        (constant,) = constants
        values, x = o.real(constant, "its operand"), o.x(1 - constant)
        y = _with_constant(o, x, values, activation, constant_first=constant == 0)
        if y is not None:
            return y
    if o.are_integers(0, 1) and o.kind in ("MAXIMUM", "MINIMUM"):
        return integer_forms.maximum_or_minimum(o)
    first, second = o.tensors()
    operation, after = _TWO_TENSORS[o.kind], _AFTER.get(o.kind)
    if after:
        return first.combine(operation, second, "/first", activation).map(after)
    return first.combine(operation, second, "", o.fused_activation(activation))


def _of_constants(o: Operation, activation: Activation) -> Made:
    if activation is not None or o.kind == "SQUARED_DIFFERENCE":
        raise UnsupportedError("all its inputs are constants, which is not supported")
    first, second = o.values()
    return first.combine("floor_divide" if o.kind == "FLOOR_DIV" else _TWO_TENSORS[o.kind], second)


def _sum(o: Operation) -> Made:
    first, *others = o.values()
    for other in others:
        first = first.combine("add", other)
    return first


def _remainder(o: Operation) -> Made:
    """Convert FLOOR_MOD: the rest of a division has the sign of the divisor."""
    first, second = o.values()
    return remainder(first, second, of_dividend=False)


# ---- A constant --------------------------------------------------------------------------------------------


def _with_constant(
    o: Operation,
    x: FileTensor,
    values: Values,
    activation: Activation,
    *,
    constant_first: bool,
) -> FileTensor | None:
    """Convert arithmetic with a constant that is one number, or has one number for each channel.

    Return None for other constants and for quantized ones. The caller then converts the constant to a tensor.
    """
    kind = o.kind
    if kind == "FLOOR_DIV" or values.size == 0 or values.ndim > x.rank:
        return None
    if kind in ("ADD", "SUB", "MUL") and o.are_integers(0, 1):
        return None
    if kind in ("MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"):
        if values.size != 1:
            return None
        number = float(values.reshape(-1)[0])
        if kind == "POW":
            return with_number(x, "power", number, is_first=constant_first)
        function: Activation = {"kind": "power", "a": 1.0, "b": -number, "c": 2.0}
        if kind != "SQUARED_DIFFERENCE":
            constant = o.inputs[0 if constant_first else 1]
            number = o.c.integers.reinterpreted_number(constant, o.result, number)
            limits = (number, _LARGEST) if kind == "MAXIMUM" else (-_LARGEST, number)
            function = o.fused_activation({"kind": "clamp", "a": limits[0], "b": limits[1]})
        return x.map(function)
    if kind == "DIV" and constant_first and values.size == 1:
        return x.reciprocal(float(values.reshape(-1)[0]), o.fused_activation(activation))
    if kind == "DIV" and (constant_first or not have_reciprocals(values)):
        return None
    if values.size > 1 and not (values.size == values.shape[-1] == x.shape[-1]):
        return None
    if values.size > 1:
        x = o.plain(x)
    scale, offset = scale_and_offset(_TWO_TENSORS[kind], values, constant_first=constant_first)
    fused = o.fused_activation(activation)
    name = o.name()
    return x.with_same_layout(
        affine(o.network, x.tensor, scale=scale, offset=offset, activation=fused, name=name)
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
    "RSQRT": {"kind": "power", "a": 1.0, "b": 0.0, "c": -0.5},
    "SIGN": "sign",
    "SQRT": {"kind": "power", "a": 1.0, "b": 0.0, "c": 0.5},
    "SQUARE": {"kind": "power", "a": 1.0, "b": 0.0, "c": 2.0},
    "TANH": "tanh",
}


def _function(o: Operation) -> Made:
    function = _FUNCTIONS.get(o.kind)
    if o.kind == "LEAKY_RELU":
        function = {"kind": "relu", "a": o.options.number(0, "f")}
    if o.kind == "GELU":
        function = "gelu_tanh" if o.flag(0) else "gelu"
    x, function = o.x(), o.fused_activation(function)
    if o.kind in ("SQRT", "RSQRT") and o.c.integers.of(o.inputs[0]) is None:
        return x.sqrt(inverse=o.kind == "RSQRT")
    return x.map(function)


def _fake_quantization(o: Operation) -> Made:
    """Convert FAKE_QUANT: round to one of 2 ** bits numbers. Their limits are shifted so that 0 is one of them."""
    options = o.options
    low, high = (options.number(field, "f") for field in (0, 1))
    bits = options.integer(2)
    if options.boolean(3):
        raise UnsupportedError("its range is narrow, as only that of weights is in training")
    if not (
        math.isfinite(low) and math.isfinite(high) and low <= 0.0 <= high and low < high and 2 <= bits <= 16
    ):
        raise WeightsError(f"damaged: its limits are {low} and {high}, with {bits} bits")
    steps = (1 << bits) - 1
    scale = float(np.float32(high - low) / np.float32(steps))
    zero = math.floor(float(np.float32(-low) / np.float32(scale)) + 0.5)  # computed in float32, as in LiteRT
    limits: Activation = {"kind": "clamp", "a": -zero * scale, "b": (steps - zero) * scale}
    to_numbers: Activation = {"kind": "linear", "a": 1.0 / scale, "b": zero + 0.5}
    x = o.x().map(limits, "/1").map(to_numbers, "/2").map("floor", "/3")
    return x.linear(scale, -zero * scale)


def _prelu(o: Operation) -> Made:
    """Convert PRELU: one slope, or one for each channel, becomes a PReLU layer; others a product with min(x, 0)."""
    slope = o.real(1, "its slopes")
    x = o.x()
    if o.are_integers(0, 1):
        return _prelu_by_parts(o, x, slope)
    if slope.size == 0 or slope.ndim > x.rank or slope.size not in (1, slope.shape[-1]):
        return _prelu_by_parts(o, x, slope)
    tensor = o.tensor()
    channels = tensor.shape[-1] or 0
    if slope.size not in (1, channels):
        raise WeightsError(f"damaged: slopes of shape {slope.shape} for {x.shown}")
    name = o.name()
    y = o.network.activation(tensor, "prelu", name=name)
    o.network.graph.set_weight(name, "slope", np.resize(slope, channels))
    return y


def _prelu_by_parts(o: Operation, x: FileTensor, slope: NDArray[np.float32]) -> FileTensor:
    low: Activation = {"kind": "clamp", "a": -float(np.finfo(np.float32).max), "b": 0.0}
    below = x.map(low, "/below")
    above = x.map("relu", "/above")
    slopes = o.constant_layer(1, slope, x)
    o.note_operand(1, slopes.tensor)
    o.note_operand(0, below.tensor)
    o.note_result(above.tensor)
    scaled = below.combine("multiply", slopes, "/scaled")
    o.note_result(scaled.tensor)
    return above.combine("add", scaled, "", o.fused_activation(None))


ARITHMETIC: dict[str, Handler] = {
    **dict.fromkeys(set(_TWO_TENSORS) - {"ADD_N"}, _binary),
    **dict.fromkeys(_FUNCTIONS, _function),
    "ADD_N": _sum,
    "COS": lambda o: sine(o.value(), shifted=True),
    "FAKE_QUANT": _fake_quantization,
    "FLOOR_MOD": _remainder,
    "GELU": _function,
    "LEAKY_RELU": _function,
    "PRELU": _prelu,
    "SIN": lambda o: sine(o.value()),
}
