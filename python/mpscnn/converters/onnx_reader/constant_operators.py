"""Compute ONNX operators whose operands are all constants, by the methods of `Constant`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial, reduce
from importlib import import_module
from typing import Any

import numpy as np

from mpscnn.converters.constant import CHEAP, FUNCTION, IN_PYTHON, Constant
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.onnx_reader.expansions import ALIGNED, JOINT_SOFTMAX, UNPACKED
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.tensors import array_type, decode_tensor, element_type, type_number
from mpscnn.errors import UnsupportedError, WeightsError

Operands = Sequence[Constant | None]
Compute = Callable[[Node, Operands], Constant | Sequence[Constant]]
Numbers = Constant | Sequence[int] | None
"""Integers that are an operand or an attribute; None: they are left out."""

_BYTE = 8
_INTEGERS = re.compile(r"(u?)int(\d+)")
# The types to which a Cast saturates.
_FLOATS_OF_8_BITS = frozenset(
    {"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0"}
)


def given(operands: Operands, place: int) -> Constant:
    """Return an operand. Raises WeightsError if it is left out."""
    operand = operands[place] if place < len(operands) else None
    if operand is None:
        raise WeightsError(f"damaged: its operand {place + 1} is missing")
    return operand


def _optional(operands: Operands, place: int) -> Constant | None:
    return operands[place] if place < len(operands) else None


def _stated(node: Node, operands: Operands, name: str, place: int) -> Numbers:
    """Return integers that are an attribute in old opsets, and an operand in later ones."""
    operand = _optional(operands, place)
    return node.integers(name) if operand is None and node.has(name) else operand


# ---- Elements ------------------------------------------------------------------------------------------------------


def _function(function: Callable[[Array], Array], weight: int, _: Node, operands: Operands) -> Constant:
    return given(operands, 0).elementwise(lambda x: function(x).astype(x.dtype, copy=False), weight=weight)


def _truth(function: Callable[[Array], Array], _: Node, operands: Operands) -> Constant:
    return given(operands, 0).elementwise(function)


def _sigmoid(x: Array) -> Array:
    power = np.exp(x)
    return np.where(x > 0, 1.0 / (1.0 + np.exp(-x)), power / (1.0 + power))


def _is_infinite(node: Node, operands: Operands) -> Constant:
    signs = [
        sign
        for sign, name in ((-1, "negative"), (1, "positive"))
        if node.flag(f"detect_{name}", default=True)
    ]
    return given(operands, 0).elementwise(lambda x: np.isinf(x) & np.isin(np.sign(x), signs))


def _clip(node: Node, operands: Operands) -> Constant:
    ends: list[Constant | None] = [_optional(operands, place) for place in (1, 2)]
    x = given(operands, 0)
    for place, name in enumerate(("min", "max")):
        if node.has(name):
            ends[place] = Constant.of(np.asarray(node.number(name), x.low.dtype), x.budget)
    if ends == [None, None]:
        return x
    return x.elementwise(lambda x, low, high: np.clip(x, low, high).astype(x.dtype, copy=False), *ends)


def _arithmetic(operation: str, _: Node, operands: Operands) -> Constant:
    return given(operands, 0).combine(operation, given(operands, 1))


def _extreme(choose: np.ufunc, _: Node, operands: Operands) -> Constant:
    first, *others = (given(operands, place) for place in range(len(operands)))
    return first.elementwise(lambda *arrays: reduce(choose, arrays), *others)


def _modulo(node: Node, operands: Operands) -> Constant:
    return _arithmetic("remainder" if node.flag("fmod", default=False) else "modulo", node, operands)


def _bit_shift(node: Node, operands: Operands) -> Constant:
    shifts = {"LEFT": np.left_shift, "RIGHT": np.right_shift}
    return given(operands, 0).elementwise(shifts[node.text("direction", "")], given(operands, 1))


def _prelu(_: Node, operands: Operands) -> Constant:
    return given(operands, 0).elementwise(
        lambda x, slope: np.where(x > 0, x, x * slope).astype(x.dtype, copy=False), given(operands, 1)
    )


def _cast(node: Node, operands: Operands) -> Constant:
    return _cast_to(node, operands, node.integer("to"))


def _cast_like(node: Node, operands: Operands) -> Constant:
    return _cast_to(node, operands, type_number(given(operands, 1).low.dtype))


def _cast_to(node: Node, operands: Operands, target: int) -> Constant:
    return given(operands, 0).cast(_converter(node, target))


def _converter(node: Node, target: int) -> Callable[[Array], Array]:
    """Return a function that converts numbers to an element type. Floats of 8 bits saturate as the node says."""
    name = element_type(target)
    if name == "string":
        raise UnsupportedError("makes text of numbers, which is not supported")
    dtype, saturates = array_type(target), node.flag("saturate", default=True)

    def convert(x: Array) -> Array:
        if name not in _FLOATS_OF_8_BITS:
            return x.astype(dtype)
        onnx = _onnx_package(name)
        if name == "float8e8m0":
            mode = node.text("round_mode", "up")
            return np.asarray(onnx.numpy_helper.to_float8e8m0(x, saturates, mode).astype(dtype))
        if saturates:
            return np.asarray(onnx.numpy_helper.saturate_cast(x, dtype))
        return x.astype(dtype)

    return convert


def _onnx_package(name: str) -> Any:
    try:
        return import_module("onnx")
    except ImportError as error:
        raise UnsupportedError(
            f'numbers of the type {name} need: pip install "mpscnn[convert]" ({error})'
        ) from error


# ---- Shapes --------------------------------------------------------------------------------------------------------


def _fill(node: Node, operands: Operands) -> Constant:
    value = node.tensor("value") if node.has("value") else np.zeros(1, np.float32)
    value = value if isinstance(value, np.ndarray) else decode_tensor(value)
    shape = given(operands, 0)
    return Constant.of(value, shape.budget).fill(shape)


def _range(_: Node, operands: Operands) -> Constant:
    return given(operands, 0).count_up_to(given(operands, 1), given(operands, 2))


# ---- Parts ---------------------------------------------------------------------------------------------------------


def _concat(node: Node, operands: Operands) -> Constant:
    first, *others = (given(operands, place) for place in range(len(operands)))
    return first.concat(others, node.integer("axis", 1))


def _gather_nd(node: Node, operands: Operands) -> Constant:
    if node.integer("batch_dims", 0):
        raise UnsupportedError("takes other places of each part of a constant, which is not supported")
    return given(operands, 0).take_at(given(operands, 1))


def _scatter_elements(node: Node, operands: Operands) -> Constant:
    x, indices, updates = (given(operands, place) for place in range(3))
    return x.scatter_along_axis(node.integer("axis", 0), indices, updates, node.text("reduction", "none"))


def _scatter_nd(node: Node, operands: Operands) -> Constant:
    x, indices, updates = (given(operands, place) for place in range(3))
    return x.scatter_at(indices, updates, node.text("reduction", "none"))


def _pad(node: Node, operands: Operands) -> Constant:
    if _optional(operands, 3) is not None:
        raise UnsupportedError("pads some axes of a constant only, or cuts it")
    x, sides, value = given(operands, 0), _stated(node, operands, "pads", 1), _optional(operands, 2)
    if node.has("value"):
        value = Constant.of(np.asarray(node.number("value"), x.low.dtype), x.budget)
    if sides is None:
        raise WeightsError("damaged: it has no pads")
    return x.pad(sides, node.text("mode", "constant"), value)


def _aligned(node: Node, operands: Operands) -> Constant:
    x, other = given(operands, 0), given(operands, 1)
    return x.expand_dims(axes_after(node, x.low.ndim, other.low.ndim))


def axes_after(node: Node, rank: int, other: int) -> range:
    """Return the axes that `ALIGNED` adds after those of its operand; see there."""
    axis = node.integer("axis")
    return range(rank, max(rank, other - axis % max(other, 1)))


def _unpacked(node: Node, operands: Operands) -> Constant:
    """Compute `UNPACKED`: the numbers of a byte begin with its lowest bits."""
    x, bits = given(operands, 0), node.integer("bits")
    if x.low.dtype.kind == "f":
        return x
    parts = [
        x.elementwise(lambda x, shift=shift: (x >> shift & ((1 << bits) - 1)).astype(np.float32))
        for shift in range(0, _BYTE, bits)
    ]
    return parts[0].stack(parts[1:], x.low.ndim)


def _trilu(node: Node, operands: Operands) -> Constant:
    triangle = np.triu if node.flag("upper", default=True) else np.tril

    def compute(x: Array, diagonal: Array | None) -> Array:
        first = 0 if diagonal is None else int(diagonal.reshape(()))
        return values.run(x.size, CHEAP, lambda: triangle(x, first))

    values = given(operands, 0)
    return values.compute(compute, _optional(operands, 1))


# ---- Along axes ----------------------------------------------------------------------------------------------------


# ---- Quantisation and normalization --------------------------------------------------------------------------------


def scales_along(node: Node, shape: Sequence[int], parameters: Array) -> Array:
    """Return scales or zero points of a quantization in a form that broadcasts to values of a shape.

    There may be one for all values, one for each index of the axis, or one for each block along the axis. Raises
    WeightsError for other shapes.
    """
    if parameters.size == 1:
        return parameters.reshape(())
    axis, block = node.integer("axis", 1), node.integer("block_size", 0)
    wanted: tuple[int, ...] = (shape[axis],)
    if block > 0:
        axis %= len(shape)
        wanted = (*shape[:axis], -(-shape[axis] // block), *shape[axis + 1 :])
    if block < 0 or parameters.shape != wanted:
        raise WeightsError(
            f"damaged: it has {parameters.size} scales or zero points {parameters.shape} for axis {axis} of "
            f"{tuple(shape)}"
        )
    if block:
        repeated = np.repeat(parameters, min(block, shape[axis]), axis)
        return np.take(repeated, np.arange(shape[axis]), axis)
    extents = [1] * len(shape)
    extents[axis] = -1
    return parameters.reshape(extents)


def _dequantize(node: Node, operands: Operands) -> Constant:
    """Compute (x - zero point) * scale."""

    def compute(x: Array, scale: Array, zero_point: Array | None) -> Array:
        if x.dtype.kind not in "iu":
            raise UnsupportedError("dequantises something other than integers")

        def numbers() -> Array:
            offset = 0 if zero_point is None else scales_along(node, x.shape, zero_point).astype(np.float32)
            return np.asarray(
                (x.astype(np.float32) - offset) * scales_along(node, x.shape, scale).astype(np.float32)
            )

        return values.run(4 * x.size, FUNCTION, numbers)

    values = given(operands, 0)
    return values.compute(compute, given(operands, 1), _optional(operands, 2))


def range_of_integers(name: str) -> tuple[int, int] | None:
    """Return the smallest and the largest number of an element type; None if it is not one of integers."""
    found = _INTEGERS.fullmatch(name)
    if found is None:
        return None
    is_unsigned, bits = bool(found[1]), int(found[2])
    lowest = 0 if is_unsigned else -(1 << bits - 1)
    return lowest, lowest + (1 << bits) - 1


def _quantize(node: Node, operands: Operands) -> Constant:
    """Compute x / scale + zero point. Integers are rounded, and clipped to the range of their type."""
    zero = _optional(operands, 2)
    target = node.integer("output_dtype", 0) or type_number(np.dtype(np.uint8))
    if zero is not None:
        target = type_number(zero.low.dtype)
    name, convert = element_type(target), _converter(node, target)
    integers = range_of_integers(name)

    def compute(x: Array, scale: Array, zero_point: Array | None) -> Array:
        def quantized() -> Array:
            made = x / scales_along(node, x.shape, scale)
            offset = None if zero_point is None else scales_along(node, x.shape, zero_point)
            if integers is None:
                return convert(made if offset is None else made + offset.astype(made.dtype))
            whole = np.rint(made).astype(np.int32)
            whole = whole if offset is None else whole + offset.astype(np.int32)
            return convert(np.clip(whole, *integers))

        return values.run(4 * x.size, FUNCTION, quantized)

    values = given(operands, 0)
    return values.compute(compute, given(operands, 1), zero)


def _joint_softmax(node: Node, operands: Operands) -> Constant:
    return given(operands, 0).softmax(node.integer("axis", 1), with_later_axes=True)


def _batch_normalization(node: Node, operands: Operands) -> Constant:
    """Normalize by the given statistics."""
    if node.flag("training_mode", default=False) or len(list(filter(None, node.outputs))) > 1:
        raise UnsupportedError("normalises constants by their own statistics, which is not supported")

    def compute(x: Array, *parameters: Array) -> Array:
        if x.ndim < 2 or any(one.shape != (x.shape[1],) for one in parameters):
            raise WeightsError(f"damaged: weights {[one.shape for one in parameters]} for {x.shape}")

        def normalized() -> Array:
            along = (-1, *[1] * (x.ndim - 2))
            scale, offset, mean, variance = (one.reshape(along) for one in parameters)
            deviation = np.sqrt(variance + np.float32(node.number("epsilon", 1e-5)))
            return np.asarray((scale * ((x - mean) / deviation) + offset).astype(x.dtype))

        return values.run(2 * x.size, FUNCTION, normalized)

    values, *parameters = (given(operands, place) for place in range(5))
    return values.compute(compute, *parameters)


# ---- Tables --------------------------------------------------------------------------------------------------------

_FUNCTIONS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "Abs": (np.absolute, CHEAP),
    "Ceil": (np.ceil, CHEAP),
    "Cos": (np.cos, FUNCTION),
    "Erf": (np.vectorize(math.erf, otypes=[np.float32]), IN_PYTHON),
    "Exp": (np.exp, FUNCTION),
    "Floor": (np.floor, CHEAP),
    "Log": (np.log, FUNCTION),
    "Neg": (np.negative, CHEAP),
    "Reciprocal": (np.reciprocal, CHEAP),
    "Relu": (lambda x: np.maximum(x, 0), CHEAP),
    "Round": (np.round, CHEAP),
    "Sigmoid": (_sigmoid, FUNCTION),
    "Sign": (np.sign, CHEAP),
    "Sin": (np.sin, FUNCTION),
    "Sqrt": (np.sqrt, CHEAP),
    "Tanh": (np.tanh, FUNCTION),
}
_OF_TWO = {
    "Add": "add",
    "And": "and",
    "Div": "divide",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Mul": "multiply",
    "Or": "or",
    "Pow": "power",
    "Sub": "subtract",
    "Xor": "xor",
}
_ELEMENTWISE: dict[str, Compute] = {
    **{kind: partial(_function, *function) for kind, function in _FUNCTIONS.items()},
    **{kind: partial(_arithmetic, operation) for kind, operation in _OF_TWO.items()},
    "BitShift": _bit_shift,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "IsInf": _is_infinite,
    "IsNaN": partial(_truth, np.isnan),
    "Max": partial(_extreme, np.maximum),
    "Min": partial(_extreme, np.minimum),
    "Mod": _modulo,
    "Not": partial(_truth, np.logical_not),
    "PRelu": _prelu,
    "Where": lambda _, operands: given(operands, 0).where(given(operands, 1), given(operands, 2)),
}
ELEMENTWISE = frozenset(_ELEMENTWISE)
"""Operators that compute each element of the result from elements at the same place of the broadcast operands."""

COMPUTED: dict[str, Compute] = {
    **_ELEMENTWISE,
    ALIGNED: _aligned,
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "ConstantOfShape": _fill,
    "DequantizeLinear": _dequantize,
    "Expand": lambda _, operands: given(operands, 0).broadcast_to(given(operands, 1)),
    "Gather": lambda node, operands: given(operands, 0).take(node.integer("axis", 0), given(operands, 1)),
    "GatherElements": lambda node, operands: given(operands, 0).take_along_axis(
        node.integer("axis", 0), given(operands, 1)
    ),
    "GatherND": _gather_nd,
    "MatMul": lambda _, operands: given(operands, 0).matmul(given(operands, 1)),
    "NonZero": lambda _, operands: given(operands, 0).non_zero(),
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "Range": _range,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Softmax": lambda node, operands: given(operands, 0).softmax(node.integer("axis", -1)),
    JOINT_SOFTMAX: _joint_softmax,
    "Trilu": _trilu,
    UNPACKED: _unpacked,
}
"""The functions that compute an operator of constants, by operator."""

COMPUTED_BEFORE_13: dict[str, Compute] = {**COMPUTED, "Softmax": _joint_softmax}
"""The functions for opsets up to 12."""
