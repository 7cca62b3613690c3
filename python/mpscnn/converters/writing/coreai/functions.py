"""Convert ONNX' elementwise functions to operations of Core AI."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreai.operator import Array, Operator
from mpscnn.errors import UnsupportedError


def _one(kind: str) -> Write[Operator, Any]:
    return lambda op: getattr(op.ai, kind)(op.x)


def _two(kind: str) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        y = op.value(0)
        for place in range(1, len(op.inputs)):
            y = op.two(kind, y, op.value(place))
        return y

    return convert


def _limited(op: Operator, x: Any, low: float, high: float) -> Any:
    x = op.two("maximum", x, low) if low > -1e38 else x
    return op.two("minimum", x, high) if high < 1e38 else x


def _clip(op: Operator) -> Any:
    low = float(op.constant(1).reshape(())) if op.given(1) else -math.inf
    high = float(op.constant(2).reshape(())) if op.given(2) else math.inf
    if low == 0.0 and not high < 1e38:
        return op.ai.relu(op.x)
    return _limited(op, op.x, low, high)


def _hard_sigmoid(op: Operator) -> Any:
    return _gate(op, float(op.attribute("alpha", 0.2)), float(op.attribute("beta", 0.5)))


def _gate(op: Operator, alpha: float, beta: float) -> Any:
    return _limited(op, op.two("add", op.two("mul", op.x, alpha), beta), 0.0, 1.0)


def _hard_swish(op: Operator) -> Any:
    return op.two("mul", op.x, _gate(op, 1 / 6, 0.5))


def _leaky(op: Operator) -> Any:
    return _sloped(op, float(op.attribute("alpha", 0.01)))


def _prelu(op: Operator) -> Any:
    return _sloped(op, op.constant(1))


def _sloped(op: Operator, slope: float | Array) -> Any:
    """Return x above 0, and slope * x below."""
    return op.two("add", op.ai.relu(op.x), op.two("mul", op.two("minimum", op.x, 0.0), slope))


def _elu(op: Operator) -> Any:
    below = op.two("sub", op.ai.exp(op.two("minimum", op.x, 0.0)), 1.0)
    return op.two("add", op.ai.relu(op.x), op.two("mul", below, float(op.attribute("alpha", 1.0))))


def _softplus(op: Operator) -> Any:
    tail = op.ai.exp(op.two("mul", op.ai.abs_(op.x), -1.0))
    return op.two("add", op.ai.relu(op.x), op.ai.log(op.two("add", tail, 1.0)))


def _softsign(op: Operator) -> Any:
    return op.two("divide", op.x, op.two("add", op.ai.abs_(op.x), 1.0))


def _sign(op: Operator) -> Any:
    above, below = (
        op.ai.cast(one, op.dtype) for one in (op.two("greater", op.x, 0.0), op.two("greater", 0.0, op.x))
    )
    return op.two("sub", above, below)


def _swish(op: Operator) -> Any:
    alpha = float(op.attribute("alpha", 1.0))
    return (
        op.ai.silu(op.x) if alpha == 1.0 else op.two("mul", op.x, op.ai.sigmoid(op.two("mul", op.x, alpha)))
    )


def _gelu(op: Operator) -> Any:
    return op.ai.gelu(op.x, approximate=op.attribute("approximate", "none"))


def _rounded(kind: str) -> Write[Operator, Any]:
    return lambda op: _whole(op, op.x, kind)


def _whole(op: Operator, x: Any, kind: str) -> Any:
    """Round down ("floor") or up ("ceil") by rounding to the nearest integer, which Core AI has."""
    near = op.ai.round_(x)
    beyond = op.two("greater", near, x) if kind == "floor" else op.two("greater", x, near)
    return op.two("sub" if kind == "floor" else "add", near, op.ai.cast(beyond, op.dtype))


def _turned(op: Operator) -> Any:
    return op.two("greater", op.value(1), op.value(0))


def _opposite(first: int, second: int) -> Write[Operator, Any]:
    """Return a function that writes "at least" or "at most": greater or equal."""

    def convert(op: Operator) -> Any:
        x, y = op.value(first), op.value(second)
        return op.two("or", op.two("greater", x, y), op.two("equal", x, y))

    return convert


def _cast(op: Operator) -> Any:
    kinds: dict[int, Any] = {1: op.dtype, 10: op.dtype, 6: np.int32, 7: np.int32, 9: np.bool_}
    kind = kinds.get(int(op.attribute("to")))
    if kind is None:
        raise UnsupportedError(f"casts to the type {op.attribute('to')}")
    x = op.x
    if kind is np.int32 and x.type.dtype in (op.ai.float32, op.ai.float16):
        # Apple's library leaves out a cast to integers that is cast back, so the fraction is cut off before.
        above, below = op.ai.relu(x), op.two("minimum", x, 0.0)
        x = op.two("add", _whole(op, above, "floor"), _whole(op, below, "ceil"))
    return op.ai.cast(x, kind)


def _where(op: Operator) -> Any:
    return op.ai.broadcasting_where(*(op.value(place) for place in range(3)))


FUNCTIONS: dict[str, Write[Operator, Any]] = {
    "Abs": _one("abs_"),
    "Add": _two("add"),
    "And": _two("and"),
    "Cast": _cast,
    "Ceil": _rounded("ceil"),
    "Clip": _clip,
    "Div": _two("divide"),
    "Elu": _elu,
    "Equal": _two("equal"),
    "Erf": _one("erf"),
    "Exp": _one("exp"),
    "Floor": _rounded("floor"),
    "Gelu": _gelu,
    "Greater": _two("greater"),
    "GreaterOrEqual": _opposite(0, 1),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": lambda op: op.x,
    "LeakyRelu": _leaky,
    "Less": _turned,
    "LessOrEqual": _opposite(1, 0),
    "Log": _one("log"),
    "Max": _two("maximum"),
    "Min": _two("minimum"),
    "Mul": _two("mul"),
    "Not": _one("not_"),
    "Or": _two("or"),
    "PRelu": _prelu,
    "Pow": _two("pow"),
    "Relu": _one("relu"),
    "Round": _one("round_"),
    "Sigmoid": _one("sigmoid"),
    "Sign": _sign,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Sqrt": _one("sqrt"),
    "Sub": _two("sub"),
    "Swish": _swish,
    "Tanh": _one("tanh"),
    "Where": _where,
}
"""The functions that convert these operators, by ONNX' name."""
