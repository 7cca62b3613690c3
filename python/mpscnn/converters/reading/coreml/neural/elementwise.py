"""Convert elementwise functions and arithmetic of neural networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mpscnn.converters.reading.coreml.neural.as_operation import as_operation
from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer
from mpscnn.converters.reading.onnx_graph.blocks import ANGLES, compare, fold, l2_normalize
from mpscnn.converters.reading.onnx_graph.builder import FLOAT, Builder
from mpscnn.errors import UnsupportedError, WeightsError

_CURVES = {
    "linear": as_operation("linear_activation", alpha="alpha", beta="beta"),
    "ReLU": as_operation("relu"),
    "leakyReLU": as_operation("leaky_relu", alpha="alpha"),
    "thresholdedReLU": as_operation("thresholded_relu", alpha="alpha"),
    "tanh": as_operation("tanh"),
    "scaledTanh": as_operation("scaled_tanh", alpha="alpha", beta="beta"),
    "sigmoid": as_operation("sigmoid"),
    "sigmoidHard": as_operation("sigmoid_hard", alpha="alpha", beta="beta"),
    "ELU": as_operation("elu", alpha="alpha"),
    "softsign": as_operation("softsign"),
    "softplus": as_operation("softplus"),
}
_CURVES_BY_CHANNEL = ("PReLU", "parametricSoftplus")


def _activation(b: Builder, layer: Layer) -> str | list[str]:
    kind = next((name for name in (*_CURVES, *_CURVES_BY_CHANNEL) if layer.p.has(name)), None)
    if kind is None:
        raise WeightsError("damaged: it does not say which function it is")
    if kind in _CURVES:
        return _CURVES[kind](b, replace(layer, p=getattr(layer.p, kind)))
    return _by_channel(b, layer, kind, getattr(layer.p, kind))


def _by_channel(b: Builder, layer: Layer, kind: str, curve: object) -> str:
    """Convert an activation function with a parameter for each channel, or one for all."""
    rank = b.rank(layer.x)
    channels = b.extents(layer.x)[-3] if rank >= 3 else None
    if channels is None:
        raise UnsupportedError("the number of its input's channels is not known")

    count = channels

    def parameter(name: str) -> str:
        weight = getattr(curve, name)
        is_one = layer.weights.has_size(weight, 1) and not layer.weights.has_size(weight, count)
        blob = layer.weights.blob(weight, (1 if is_one else count,), f"its {name}")
        return b.weight(name, np.broadcast_to(blob.array().reshape(-1, 1, 1), (count, 1, 1)))

    if kind == "PReLU":
        return b.op("PRelu", layer.x, parameter("alpha"))
    inner = b.op("Softplus", b.op("Mul", layer.x, parameter("beta")))
    return b.op("Mul", inner, parameter("alpha"))


_SQRT, _RSQRT, _INVERSE, _POWER, _EXP, _LOG, _ABS, _THRESHOLD = range(8)
_EPSILON = 1e-6
_VANISHING = 1e-38


def _unary(b: Builder, layer: Layer) -> str:
    p = layer.p
    x = b.linear(layer.x, layer.positive("scale", 1.0), float(p.shift))
    epsilon = layer.positive("epsilon", _EPSILON)
    plain = {_SQRT: "Sqrt", _EXP: "Exp", _LOG: "Log", _ABS: "Abs"}
    # Core ML's schema defines no epsilon for the logarithm, but coremltools writes one to mean log(x + epsilon).
    if p.type == _LOG and p.epsilon > _VANISHING:
        x = b.op("Add", x, epsilon)
    if p.type in plain:
        return b.op(plain[p.type], x)
    if p.type == _RSQRT:
        return b.op("Reciprocal", b.op("Sqrt", b.op("Add", x, epsilon)))
    if p.type == _INVERSE:
        return b.op("Reciprocal", b.op("Add", x, epsilon))
    if p.type == _POWER:
        return b.op("Pow", x, p.alpha)
    if p.type == _THRESHOLD:
        return b.op("Max", x, p.alpha)
    raise WeightsError(f"damaged: a function of the kind {p.type}")


def _sum_or_product(kind: str) -> Handler:
    """Return a function that converts a sum or product of several blobs (tensors), or of a blob and a number."""

    def convert(b: Builder, layer: Layer) -> str:
        if len(layer.inputs) == 1:
            return b.op(kind, layer.x, layer.p.alpha)
        return fold(b, kind, layer.inputs)

    return convert


def _fold(kind: str) -> Handler:
    return lambda b, layer: fold(b, kind, layer.inputs) if len(layer.inputs) > 1 else layer.x


def _average(b: Builder, layer: Layer) -> str:
    total = fold(b, "Add", layer.inputs)
    return b.op("Mul", total, 1.0 / len(layer.inputs))


def _shaped(b: Builder, layer: Layer, role: str, shape: str) -> str:
    """Return a weight [1], [C], [1, H, W] or [C, H, W] in a shape that broadcasts to an image (n, C, H, W)."""
    extents = tuple(int(one) for one in getattr(layer.p, shape))
    weight = layer.weight(role, extents)
    return b.weight(role, weight.reshaped(-1, 1, 1) if len(extents) == 1 else weight)


def _scale(b: Builder, layer: Layer) -> str:
    result = b.op("Mul", layer.x, _shaped(b, layer, "scale", "shapeScale"))
    return b.op("Add", result, _shaped(b, layer, "bias", "shapeBias")) if layer.p.hasBias else result


def _dot(b: Builder, layer: Layer) -> str:
    x, y = layer.two()
    if layer.p.cosineSimilarity:
        x, y = l2_normalize(b, x, [-3], 0.0), l2_normalize(b, y, [-3], 0.0)
    return b.op("ReduceSum", b.op("Mul", x, y), [-3], keepdims=1)


def _comparison(kind: str, *, opposite: bool = False) -> Handler:
    def convert(b: Builder, layer: Layer) -> str:
        given = layer.inputs if len(layer.inputs) == 2 else [layer.x, layer.p.alpha]
        return compare(b, kind, given[0], given[1], opposite=opposite)

    return convert


def _truth(b: Builder, x: str) -> str:
    """Return the truth values of numbers. Neural networks have only numbers, also as results of comparisons."""
    maker = b.producer(x)
    if maker is not None and maker.kind == "Cast" and b.is_boolean(maker.inputs[0]):
        return maker.inputs[0]
    return b.op("Not", b.op("Equal", x, 0.0))


def _logical(kind: str) -> Handler:
    def convert(b: Builder, layer: Layer) -> str:
        return b.op("Cast", b.op(kind, *(_truth(b, x) for x in layer.inputs)), to=FLOAT)

    return convert


def _where(b: Builder, layer: Layer) -> str:
    condition, x, y = layer.three()
    return b.op("Where", _truth(b, condition), x, y)


_GELU = ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")

ELEMENTWISE: dict[str, Handler] = {
    "acosh": lambda b, layer: b.op("Acosh", layer.x),
    "activation": _activation,
    "add": _sum_or_product("Add"),
    "addBroadcastable": as_operation("add", "x y"),
    "asinh": lambda b, layer: b.op("Asinh", layer.x),
    "average": _average,
    "bias": lambda b, layer: b.op("Add", layer.x, _shaped(b, layer, "bias", "shape")),
    "clampedReLU": as_operation("clamped_relu", alpha="alpha", beta="beta"),
    "clip": lambda b, layer: b.op("Clip", layer.x, layer.p.minVal, layer.p.maxVal),
    "divideBroadcastable": as_operation("real_div", "x y"),
    "dot": _dot,
    "equal": _comparison("Equal"),
    "exp2": as_operation("exp2"),
    "floorDivBroadcastable": lambda b, layer: b.op("Floor", b.op("Div", *layer.two())),
    "gelu": as_operation("gelu", mode=("mode", _GELU)),
    "greaterEqual": _comparison("GreaterOrEqual"),
    "greaterThan": _comparison("Greater"),
    "lessEqual": _comparison("LessOrEqual"),
    "lessThan": _comparison("Less"),
    "logicalAnd": _logical("And"),
    "logicalNot": _logical("Not"),
    "logicalOr": _logical("Or"),
    "logicalXor": _logical("Xor"),
    **{
        kind: as_operation(kind)
        for kind in (*map(str.lower, ANGLES), "ceil", "erf", "floor", "round", "sign", "tanh")
        if kind not in ("acosh", "asinh")
    },
    "max": _fold("Max"),
    "maxBroadcastable": _fold("Max"),
    "min": _fold("Min"),
    "minBroadcastable": _fold("Min"),
    "modBroadcastable": as_operation("mod", "x y"),
    "multiply": _sum_or_product("Mul"),
    "multiplyBroadcastable": as_operation("mul", "x y"),
    "notEqual": _comparison("Equal", opposite=True),
    "powBroadcastable": as_operation("pow", "x y"),
    "scale": _scale,
    "subtractBroadcastable": as_operation("sub", "x y"),
    "unary": _unary,
    "whereBroadcastable": _where,
}
