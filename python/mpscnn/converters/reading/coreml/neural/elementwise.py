"""Convert elementwise functions and arithmetic of neural networks."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.layer import StoredWeight
from mpscnn.converters.reading.coreml.neural.row_calls import Number, Weight, numbered, stated
from mpscnn.converters.reading.coreml.program.operations import ROWS
from mpscnn.converters.reading.coreml.program.row_calls import unary
from mpscnn.converters.reading.graph.blocks import compare, fold, l2_normalize
from mpscnn.converters.reading.graph.builder import FLOAT, Builder
from mpscnn.converters.values.rows import Ints, Name, Row, Stated, call
from mpscnn.errors import UnsupportedError, WeightsError

# ---- Activations ---------------------------------------------------------------------------------------------------


def _with_alpha(kind: str) -> Row:
    """Return the row of a layer with one number that is an operation of programs."""
    operation = ROWS[kind]

    def row(b: Builder, x: Name, *, alpha: Number = 0.0) -> str:
        made: str = operation(b, x, alpha)
        return made

    return row


def _with_alpha_and_beta(kind: str) -> Row:
    """Return the row of a layer with two numbers that is an operation of programs."""
    operation = ROWS[kind]

    def row(b: Builder, x: Name, *, alpha: Number = 0.0, beta: Number = 0.0) -> str:
        made: str = operation(b, x, alpha, beta)
        return made

    return row


def _of_channels(b: Builder, x: str, stated: StoredWeight) -> str:
    """Return a parameter for each channel, or one for all."""
    channels = b.extents(x)[-3] if b.rank(x) >= 3 else None
    if channels is None:
        raise UnsupportedError("the number of its input's channels is not known")
    is_one = stated.has_size(1) and not stated.has_size(channels)
    values = stated.blob((1 if is_one else channels,)).array()
    return b.weight(stated.name, np.broadcast_to(values.reshape(-1, 1, 1), (channels, 1, 1)))


def _prelu(b: Builder, x: Name, *, alpha: Weight) -> str:
    return ops.prelu(b, x, _of_channels(b, x, alpha))


def _parametric_softplus(b: Builder, x: Name, *, alpha: Weight, beta: Weight) -> str:
    inner = ops.softplus(b, ops.multiply(b, x, _of_channels(b, x, beta)))
    return ops.multiply(b, inner, _of_channels(b, x, alpha))


CURVES: dict[str, Row] = {
    "elu": _with_alpha("elu"),
    "leaky_relu": _with_alpha("leaky_relu"),
    "linear": _with_alpha_and_beta("linear_activation"),
    "parametric_softplus": _parametric_softplus,
    "prelu": _prelu,
    "scaled_tanh": _with_alpha_and_beta("scaled_tanh"),
    "sigmoid_hard": _with_alpha_and_beta("sigmoid_hard"),
    "thresholded_relu": _with_alpha("thresholded_relu"),
    **{kind: ROWS[kind] for kind in ("relu", "sigmoid", "softplus", "softsign", "tanh")},
}
"""The functions of the layer activation. The parameters of a function are a message of their own."""


def _activation(b: Builder, x: Name, **curves: Any) -> str:
    if unknown := [kind for kind in curves if kind not in CURVES]:
        raise UnsupportedError(f"its {quote_name(unknown[0])} is not a function that is known")
    if len(curves) != 1:
        raise WeightsError(f"damaged: it says {len(curves)} times which function it is")
    ((kind, settings),) = curves.items()
    made: str = call(CURVES[kind], [x], settings, lambda _, name: name, {Builder: b})
    return made


def _gelu(
    b: Builder, x: Name, *,
    mode: Annotated[str, numbered("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")] = "EXACT",
) -> str:  # fmt: skip
    made: str = ROWS["gelu"](b, x, mode)
    return made


# ---- Functions of one blob -----------------------------------------------------------------------------------------

_PLAIN = {"SQRT": ops.sqrt, "EXP": ops.exp, "LOG": ops.log, "ABS": ops.absolute}
_UNARY = numbered("SQRT", "RSQRT", "INVERSE", "POWER", "EXP", "LOG", "ABS", "THRESHOLD")
_EPSILON = 1e-6
_VANISHING = 1e-38


def _unary(
    b: Builder, x: Name, *, kind: Annotated[str, Stated("type"), _UNARY] = "SQRT", alpha: float = 0.0,
    epsilon: float | None = None, shift: float = 0.0, scale: float = 1.0,
) -> str:  # fmt: skip
    x = b.linear(x, scale, shift)
    # Core ML's schema defines no epsilon for the logarithm, but coremltools writes one to mean log(x + epsilon).
    if kind == "LOG" and epsilon is not None and epsilon > _VANISHING:
        x = ops.add(b, x, epsilon)
    if kind in _PLAIN:
        return _PLAIN[kind](b, x)
    if kind == "POWER":
        return ops.power(b, x, alpha)
    if kind == "THRESHOLD":
        return ops.maximum(b, x, alpha)
    x = ops.add(b, x, _EPSILON if epsilon is None else epsilon)
    return ops.reciprocal(b, ops.sqrt(b, x) if kind == "RSQRT" else x)


def _clip(b: Builder, x: Name, *, min_val: float = 0.0, max_val: float = 0.0) -> str:
    return ops.clip(b, x, min_val, max_val)


# ---- Arithmetic ----------------------------------------------------------------------------------------------------


def _sum_or_product(function: ops.Binary) -> Row:
    """Return the row of a sum or product of several blobs (tensors), or of a blob and a number."""

    def row(b: Builder, x: Name, *more: Name, alpha: float = 0.0) -> str:
        return fold(b, function, [x, *more]) if more else function(b, x, alpha)

    return row


def _fold(function: ops.Binary) -> Row:
    def row(b: Builder, x: Name, *more: Name) -> str:
        return fold(b, function, [x, *more])

    return row


def _average(b: Builder, x: Name, *more: Name) -> str:
    return ops.multiply(b, fold(b, ops.add, [x, *more]), 1.0 / (1 + len(more)))


def _floor_div(b: Builder, x: Name, y: Name) -> str:
    return ops.floor(b, ops.divide(b, x, y))


def _for_images(b: Builder, weight: StoredWeight, shape: Ints) -> str:
    """Return a weight [1], [C], [1, H, W] or [C, H, W] in a shape that broadcasts to an image (n, C, H, W)."""
    blob = weight.blob(shape)
    return b.weight(weight.name, blob.reshaped(-1, 1, 1) if len(shape) == 1 else blob)


def _bias(b: Builder, x: Name, *, bias: Weight, shape: Ints = ()) -> str:
    return ops.add(b, x, _for_images(b, bias, shape))


def _scale(
    b: Builder, x: Name, *, scale: Weight, shape_scale: Ints = (), has_bias: bool = False,
    shape_bias: Ints = (), bias: Weight | None = None,
) -> str:  # fmt: skip
    result = ops.multiply(b, x, _for_images(b, scale, shape_scale))
    return ops.add(b, result, _for_images(b, stated(bias, "bias"), shape_bias)) if has_bias else result


def _dot(b: Builder, x: Name, y: Name, *, cosine_similarity: bool = False) -> str:
    if cosine_similarity:
        x, y = l2_normalize(b, x, [-3], 0.0), l2_normalize(b, y, [-3], 0.0)
    return ops.reduce_sum(b, ops.multiply(b, x, y), [-3], keepdims=1)


# ---- Logic ---------------------------------------------------------------------------------------------------------


def _comparison(comparison: ops.Binary, *, opposite: bool = False) -> Row:
    def row(b: Builder, x: Name, y: Name | None = None, *, alpha: float = 0.0) -> str:
        return compare(b, comparison, x, alpha if y is None else y, opposite=opposite)

    return row


def _truth(b: Builder, x: str) -> str:
    """Return the truth values of numbers. Neural networks have only numbers, also as results of comparisons."""
    maker = b.maker(x, ops.cast)
    if maker is not None and b.is_boolean(maker.inputs[0]):
        return maker.inputs[0]
    return ops.logical_not(b, ops.equal(b, x, 0.0))


def _logical(function: ops.Binary) -> Row:
    def row(b: Builder, x: Name, y: Name) -> str:
        return ops.cast(b, function(b, _truth(b, x), _truth(b, y)), to=FLOAT)

    return row


def _logical_not(b: Builder, x: Name) -> str:
    return ops.cast(b, ops.logical_not(b, _truth(b, x)), to=FLOAT)


def _where(b: Builder, condition: Name, x: Name, y: Name) -> str:
    return ops.where(b, _truth(b, condition), x, y)


ELEMENTWISE: dict[str, Row] = {
    "acosh": unary(ops.acosh),
    "activation": _activation,
    "add": _sum_or_product(ops.add),
    "addBroadcastable": ROWS["add"],
    "asinh": unary(ops.asinh),
    "average": _average,
    "bias": _bias,
    "clampedReLU": _with_alpha_and_beta("clamped_relu"),
    "clip": _clip,
    "divideBroadcastable": ROWS["real_div"],
    "dot": _dot,
    "equal": _comparison(ops.equal),
    "exp2": ROWS["exp2"],
    "floorDivBroadcastable": _floor_div,
    "gelu": _gelu,
    "greaterEqual": _comparison(ops.greater_or_equal),
    "greaterThan": _comparison(ops.greater),
    "lessEqual": _comparison(ops.less_or_equal),
    "lessThan": _comparison(ops.less),
    "logicalAnd": _logical(ops.logical_and),
    "logicalNot": _logical_not,
    "logicalOr": _logical(ops.logical_or),
    "logicalXor": _logical(ops.logical_xor),
    **{
        kind: ROWS[kind]
        for kind in (*ops.ANGLES, "ceil", "erf", "floor", "round", "sign", "tanh")
        if kind not in ("acosh", "asinh")
    },
    "max": _fold(ops.maximum),
    "maxBroadcastable": _fold(ops.maximum),
    "min": _fold(ops.minimum),
    "minBroadcastable": _fold(ops.minimum),
    "modBroadcastable": ROWS["mod"],
    "multiply": _sum_or_product(ops.multiply),
    "multiplyBroadcastable": ROWS["mul"],
    "notEqual": _comparison(ops.equal, opposite=True),
    "powBroadcastable": ROWS["pow"],
    "scale": _scale,
    "subtractBroadcastable": ROWS["sub"],
    "unary": _unary,
    "whereBroadcastable": _where,
}
