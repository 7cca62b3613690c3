"""TensorFlow Lite's arithmetic: of two tensors, of one with a constant, functions of each element, reductions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import affine
from mpscnn.converters.tflite.context import Handler, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Values = NDArray[np.float32]
_COMPARISONS = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")

# ---- Two operands ------------------------------------------------------------------------------------------


def _binary(c: Reader, operator: FileOperator) -> None:
    a, b = operator.inputs
    activation = c.activation(operator, 0) if operator.kind in ("ADD", "SUB", "MUL", "DIV") else None
    constants = [index for index in (a, b) if c.constants.find(index) is not None]
    if len(constants) == 2:
        raise UnsupportedError("arithmetic on two large constants")
    if constants:
        values = c.constants.real(constants[0], "its operand")
        x = c.value(b if constants[0] == a else a)
        y = _with_constant(c, operator, x, values, activation, constant_first=constants[0] == a)
    else:
        y = _of_two(c, operator, c.value(a), c.value(b), activation)
    c.result(operator, y)


def _of_two(c: Reader, operator: FileOperator, a: Tensor, b: Tensor, activation: Activation) -> Tensor:
    rank = max(len(a.shape), len(b.shape))
    a, b = (_with_rank(c, operator, x, rank) for x in (a, b))
    net, name = c.network, c.layer_name(operator)
    if operator.kind == "SQUARED_DIFFERENCE":
        difference = net.subtract(a, b, name=c.layer_name(operator, "/difference"))
        return net.multiply(difference, difference, name=name)
    methods = {
        "ADD": net.add,
        "SUB": net.subtract,
        "MUL": net.multiply,
        "DIV": net.divide,
        "MAXIMUM": net.maximum,
        "MINIMUM": net.minimum,
        "POW": net.power,
        "EQUAL": net.equal,
        "GREATER": net.greater,
        "GREATER_EQUAL": net.greater_equal,
        "LESS": net.less,
        "LESS_EQUAL": net.less_equal,
        "NOT_EQUAL": net.not_equal,
    }
    return methods[operator.kind](a, b, activation=activation, name=name)


def _with_rank(c: Reader, operator: FileOperator, x: Tensor, rank: int) -> Tensor:
    """Axes of 1 behind the batch, which is 1 in the file: there it is where these would be."""
    missing = rank - len(x.shape)
    if not missing:
        return x
    extents = x.shape[1:]
    if any((c.file.tensors[index].shape or (1,))[0] != 1 for index in operator.inputs):
        raise UnsupportedError(f"operands of {len(x.shape)} and of {rank} axes, whose batch is not 1")
    if extents.count(None) > 1:
        raise UnsupportedError(
            f"its operand {x.shape} has fewer axes than the other, and free ones: {CHOOSE_SIZE}"
        )
    shape = [1] * missing + [-1 if extent is None else extent for extent in extents]
    return c.network.reshape(x, shape, name=c.layer_name(operator, "/axes"))


def _select(c: Reader, operator: FileOperator) -> None:
    """The second operand where the first is true, else the third."""
    condition, a, b = (c.value(index) for index in operator.inputs)
    rank = max(len(x.shape) for x in (condition, a, b))
    condition, a, b = (_with_rank(c, operator, x, rank) for x in (condition, a, b))
    c.result(operator, c.network.where(condition, a, b, name=c.layer_name(operator)))


# ---- A constant --------------------------------------------------------------------------------------------


def _with_constant(
    c: Reader,
    operator: FileOperator,
    x: Tensor,
    values: Values,
    activation: Activation,
    *,
    constant_first: bool,
) -> Tensor:
    kind, net = operator.kind, c.network
    if kind in _COMPARISONS:
        raise UnsupportedError("compares with a constant, which is not supported; two computed tensors are")
    if kind in ("MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"):
        if values.size != 1:
            raise UnsupportedError(f"a constant of shape {values.shape}; supported is one number")
        number = float(values.reshape(-1)[0])
        if kind == "POW":
            return _power(c, operator, x, number, constant_first=constant_first)
        name = c.layer_name(operator)
        if kind == "SQUARED_DIFFERENCE":
            return net.activation(x, {"kind": "power", "a": 1.0, "b": -number, "c": 2.0}, name=name)
        largest = float(np.finfo(np.float32).max)
        limits = (number, largest) if kind == "MAXIMUM" else (-largest, number)
        return net.activation(x, {"kind": "clamp", "a": limits[0], "b": limits[1]}, name=name)
    if kind == "DIV" and constant_first:
        inverse = {"kind": "power", "a": 1.0, "b": 0.0, "c": -1.0}
        x = net.activation(x, inverse, name=c.layer_name(operator, "/inverse"))
        return _affine(c, operator, x, values, None, activation)
    if kind == "DIV":
        if not values.all():
            raise UnsupportedError("divides by 0")
        return _affine(c, operator, x, 1.0 / values, None, activation)
    if kind == "MUL":
        return _affine(c, operator, x, values, None, activation)
    if kind == "ADD":
        return _affine(c, operator, x, None, values, activation)
    if constant_first:
        return _affine(c, operator, x, np.full_like(values, -1.0), values, activation)
    return _affine(c, operator, x, None, -values, activation)


def _affine(
    c: Reader,
    operator: FileOperator,
    x: Tensor,
    scale: Values | None,
    offset: Values | None,
    activation: Activation,
) -> Tensor:
    """x * scale + offset. Constants that vary in several axes are spread over all axes from the first of these on."""
    shape = (scale if scale is not None else offset if offset is not None else np.zeros(())).shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    varying = len(shape) if math.prod(shape) > 1 else 0
    extents = x.shape[1:]
    if varying > len(extents):
        raise UnsupportedError(f"a constant of shape {shape} and {x.shape}, which it would repeat")
    name = c.layer_name(operator)
    if varying <= 1:
        if varying and shape[0] != extents[-1]:
            raise UnsupportedError(f"a constant of shape {shape} and {x.shape}, which do not fit")
        return affine(c.network, x, scale=scale, offset=offset, activation=activation, name=name)
    tail = extents[len(extents) - varying :]
    if None in tail:
        raise UnsupportedError(
            f"a constant of shape {shape} and {x.shape}, whose size is free: {CHOOSE_SIZE}"
        )
    wanted = [extent or 0 for extent in tail]
    if any(given not in (1, extent) for given, extent in zip(shape, wanted, strict=True)):
        raise UnsupportedError(f"a constant of shape {shape} and {x.shape}, which it would repeat")
    count = math.prod(wanted)
    c.constants.count(4 * count)
    full = [
        None if values is None else np.broadcast_to(values.reshape(shape), wanted).reshape(-1)
        for values in (scale, offset)
    ]
    before = math.prod(extent or 0 for extent in extents[: len(extents) - varying])
    rows = [before, count] if before > 1 else [count]
    flat = c.network.reshape(x, rows, name=c.layer_name(operator, "/rows"))
    y = affine(c.network, flat, scale=full[0], offset=full[1], activation=activation, name=name)
    return c.network.reshape(y, [extent or 0 for extent in extents], name=c.layer_name(operator, "/shape"))


def _power(c: Reader, operator: FileOperator, x: Tensor, number: float, *, constant_first: bool) -> Tensor:
    name = c.layer_name(operator)
    if not constant_first:
        return c.network.activation(x, {"kind": "power", "a": 1.0, "b": 0.0, "c": number}, name=name)
    if number <= 0.0:
        raise UnsupportedError(f"powers of {number}")
    return c.network.activation(x, {"kind": "exponential", "a": 1.0, "b": 0.0, "c": number}, name=name)


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


def _function(c: Reader, operator: FileOperator) -> None:
    function = _FUNCTIONS.get(operator.kind)
    if operator.kind == "LEAKY_RELU":
        function = {"kind": "relu", "a": c.options(operator).number(0, "f")}
    if operator.kind == "GELU":
        function = "gelu_tanh" if operator.options and operator.options.boolean(0) else "gelu"
    x = c.value(operator.inputs[0])
    c.result(operator, c.network.activation(x, function, name=c.layer_name(operator)))


def _softmax(c: Reader, operator: FileOperator) -> None:
    x, beta = c.value(operator.inputs[0]), c.options(operator).number(0, "f", 1.0)
    if not math.isfinite(beta):
        raise WeightsError(f"damaged: its beta is {beta}")
    if beta != 1.0:
        x = c.network.activation(x, {"kind": "linear", "a": beta}, name=c.layer_name(operator, "/beta"))
    c.result(operator, c.network.softmax(x, name=c.layer_name(operator)))


def _log_softmax(c: Reader, operator: FileOperator) -> None:
    c.result(operator, c.network.log_softmax(c.value(operator.inputs[0]), name=c.layer_name(operator)))


def _local_response(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    size = 2 * options.integer(0) + 1
    bias, alpha, beta = (options.number(field, "f") for field in (1, 2, 3))
    x, name = c.value(operator.inputs[0]), c.layer_name(operator)
    y = c.network.local_response_norm(x, size, alpha=size * alpha, beta=beta, k=bias, name=name)
    c.result(operator, y)


def _l2_normalization(c: Reader, operator: FileOperator) -> None:
    """x / sqrt(the sum of the squares of its channels, at least 1e-6)."""
    x, net = c.value(operator.inputs[0]), c.network
    if c.activation(operator, 0) is not None:
        raise UnsupportedError("it ends with an activation, which is not supported")
    square = {"kind": "power", "a": 1.0, "b": 0.0, "c": 2.0}
    squares = net.activation(x, square, name=c.layer_name(operator, "/squares"))
    total = net.reduce_sum(squares, -1, name=c.layer_name(operator, "/sum"))
    least = {"kind": "clamp", "a": 1e-6, "b": _LARGEST}
    above = net.activation(total, least, name=c.layer_name(operator, "/least"))
    inverse = {"kind": "power", "a": 1.0, "b": 0.0, "c": -0.5}
    factor = net.activation(above, inverse, name=c.layer_name(operator, "/factor"))
    c.result(operator, net.multiply(x, factor, name=c.layer_name(operator)))


# ---- Reductions --------------------------------------------------------------------------------------------


def _reduction(c: Reader, operator: FileOperator) -> None:
    """One axis after the other; of means and maxima of whole images there is a layer of its own."""
    x = c.value(operator.inputs[0])
    rank = len(x.shape)
    axes = sorted({axis % rank for axis in c.constants.integers(operator.inputs[1], "the axes")})
    keeps = bool(operator.options and operator.options.boolean(0))
    if 0 in axes:
        raise UnsupportedError(f"reduces the batch of {x.shape}")
    net = c.network
    whole = {"MEAN": net.global_average_pool2d, "REDUCE_MAX": net.global_max_pool2d}
    if rank == 4 and axes[:2] == [1, 2] and operator.kind in whole:
        name = c.layer_name(operator)
        y, axes_left = whole[operator.kind](x, name=name), axes[2:]
    else:
        y, axes_left = x, axes
    kinds = {
        "MEAN": net.reduce_mean,
        "SUM": net.reduce_sum,
        "REDUCE_MAX": net.reduce_max,
        "REDUCE_MIN": net.reduce_min,
    }
    for axis in axes_left:
        if rank != 4 and axis != rank - 1:
            raise UnsupportedError(
                f"reduces axes {axes} of {x.shape}; supported are images, or the last axis"
            )
        y = kinds[operator.kind](y, axis, name=c.layer_name(operator))
    if not keeps and axes:
        left = [extent for axis, extent in enumerate(x.shape) if axis and axis not in axes]
        if left.count(None) > 1:
            raise UnsupportedError(f"drops axes {axes} of {x.shape}, whose size is free: {CHOOSE_SIZE}")
        extents = [-1 if extent is None else extent for extent in left]
        if not extents:
            raise UnsupportedError(f"reduces all axes of {x.shape} to one number, which is not supported")
        y = net.reshape(y, extents, name=c.layer_name(operator, "/flatten"))
    c.result(operator, y)


ARITHMETIC: dict[str, Handler] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"), _binary),
    **dict.fromkeys(_COMPARISONS, _binary),
    **dict.fromkeys(_FUNCTIONS, _function),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduction),
    "GELU": _function,
    "LEAKY_RELU": _function,
    "L2_NORMALIZATION": _l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
    "LOG_SOFTMAX": _log_softmax,
    "SELECT": _select,
    "SELECT_V2": _select,
    "SOFTMAX": _softmax,
}
