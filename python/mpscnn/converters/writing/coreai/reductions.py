"""Convert ONNX' matrix products, norms and reductions to operations of Core AI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreai.operator import Array, Operator, unsigned
from mpscnn.errors import UnsupportedError


def _gemm(op: Operator) -> Any:
    weight = op.value(1)
    if op.attribute("transB", 0):
        weight = op.ai.transpose(weight, unsigned([1, 0]))
    y = op.ai.broadcasting_batch_matmul(op.x, weight)
    return op.two("add", y, op.constant(2).reshape(-1)) if op.given(2) else y


def _channels(op: Operator, place: int) -> Array:
    return op.constant(place).astype(np.float64).reshape(-1, *[1] * (len(op.shape) - 2))


def _batch_norm(op: Operator) -> Any:
    gamma, beta, mean, variance = (_channels(op, place) for place in range(1, 5))
    scale = gamma / np.sqrt(variance + float(op.attribute("epsilon", 1e-5)))
    offset = (beta - mean * scale).astype(np.float32)
    y = op.x if bool((scale == 1).all()) else op.two("mul", op.x, scale.astype(np.float32))
    return op.two("add", y, offset) if offset.any() else y


def _standardized(op: Operator, x: Any, axes: Sequence[int]) -> Any:
    places = np.array(axes, np.int32)
    centred = op.two("sub", x, op.ai.reduce_mean(x, places))
    variance = op.ai.reduce_mean(op.two("mul", centred, centred), places)
    return op.two("mul", centred, op.ai.rsqrt(op.two("add", variance, float(op.attribute("epsilon", 1e-5)))))


def _layer_norm(op: Operator) -> Any:
    axis, rank = op.axis(-1), len(op.shape)
    y = _standardized(op, op.x, range(axis, rank))
    for place, kind in ((1, "mul"), (2, "add")):
        if op.given(place):
            y = op.two(kind, y, op.constant(place).reshape(op.shape[axis:]))
    return y


def _instance_norm(op: Operator) -> Any:
    y = _standardized(op, op.x, range(2, len(op.shape)))
    for place, kind in ((1, "mul"), (2, "add")):
        y = op.two(kind, y, _channels(op, place).astype(np.float32))
    return y


def _unit_norm(op: Operator) -> Any:
    if int(op.attribute("p", 2)) != 2:
        raise UnsupportedError("a norm of another order than 2")
    square = op.ai.reduce_sum(op.two("mul", op.x, op.x), np.array([op.axis(-1)], np.int32))
    return op.two("divide", op.x, op.ai.sqrt(square))


def _local_response(op: Operator) -> Any:
    size = int(op.attribute("size"))
    alpha, beta, bias = (
        float(op.attribute(name, default))
        for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    count, channels, *rest = op.shape
    squares = op.reshaped(op.two("mul", op.x, op.x), (count, 1, channels, math.prod(rest)))
    before = (size - 1) // 2
    windows = (op.of(unsigned(one)) for one in ([size, 1], [1, 1], [1, 1]))
    sums = op.ai.sumpool2d(op.padded(squares, (before, 0), (size - 1 - before, 0)), *windows)
    base = op.two("add", op.two("mul", op.reshaped(sums, op.shape), alpha / size), bias)
    return op.two("divide", op.x, op.two("pow", base, beta))


def _softmax(op: Operator) -> Any:
    return op.ai.softmax(op.x, np.array(op.axis(-1), np.int32))


def _log_softmax(op: Operator) -> Any:
    places = np.array([op.axis(-1)], np.int32)
    shifted = op.two("sub", op.x, op.ai.reduce_max(op.x, places))
    return op.two("sub", shifted, op.ai.log(op.ai.reduce_sum(op.ai.exp(shifted), places)))


def _reduction(kind: str, before: str = "", after: str = "") -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        x, places = op.x, np.array(op.axes(), np.int32)
        if before == "square":
            x = op.two("mul", x, x)
        elif before:
            x = getattr(op.ai, before)(x)
        y = getattr(op.ai, f"reduce_{kind}")(x, places)
        y = getattr(op.ai, after)(y) if after else y
        return y if op.attribute("keepdims", 1) else op.ai.shrink_dims(y, places)

    return convert


def _log_sum_exp(op: Operator) -> Any:
    places = np.array(op.axes(), np.int32)
    top = op.ai.reduce_max(op.x, places)
    sums = op.ai.reduce_sum(op.ai.exp(op.two("sub", op.x, top)), places)
    y = op.two("add", op.ai.log(sums), top)
    return y if op.attribute("keepdims", 1) else op.ai.shrink_dims(y, places)


def _best_place(sign: float) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        axis = op.axis(0)
        x = op.x if sign > 0 else op.two("mul", op.x, sign)
        y = op.ai.cast(op.ai.argmax(x, np.array(axis, np.int32)), np.int32)
        return y if op.attribute("keepdims", 1) else op.ai.shrink_dims(y, np.array([axis], np.int32))

    return convert


REDUCTIONS: dict[str, Write[Operator, Any]] = {
    "ArgMax": _best_place(1.0),
    "ArgMin": _best_place(-1.0),
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _unit_norm,
    "MatMul": lambda op: op.two("batch_matmul", op.value(0), op.value(1)),
    "ReduceL1": _reduction("sum", "abs_"),
    "ReduceL2": _reduction("sum", "square", "sqrt"),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _reduction("max"),
    "ReduceMean": _reduction("mean"),
    "ReduceMin": _reduction("min"),
    "ReduceProd": _reduction("product"),
    "ReduceSum": _reduction("sum"),
    "ReduceSumSquare": _reduction("sum", "square"),
    "Softmax": _softmax,
}
"""The functions that convert these operators, by ONNX' name."""
