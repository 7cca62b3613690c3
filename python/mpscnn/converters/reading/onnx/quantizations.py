"""Convert QuantizeLinear and DequantizeLinear between layers.

In a float network such a pair only clips to the range of the integers. Clipping matters, because files leave out a ReLU
if the integers represent no number below zero. The scales and zero points are kept for precision "int8"
(`integer_network`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mpscnn.converters.reading.onnx.attention_masks import constant_of_node
from mpscnn.converters.reading.onnx.casts import converter
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.known_results import Quantized
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Given
from mpscnn.converters.reading.onnx.tensors import (
    FLOAT,
    UINT8,
    array_type,
    element_type,
    has_scales,
    type_number,
)
from mpscnn.converters.values.constant import FUNCTION, Constant
from mpscnn.converters.values.constant_pair import Array
from mpscnn.converters.values.integer_limits import Grid, range_of_integers
from mpscnn.converters.values.layout import Arranged
from mpscnn.converters.values.rows import Name, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import Error, UnsupportedError, WeightsError

_MIN_SCALE = 2.0**-126
_STATED = ("uint8", "int8", "uint16", "int16", "int32")  # the types of integers without a zero point


def note_integers(c: Context, value: Arranged, name: str) -> None:
    """Record the quantization of a constant that was dequantized from integers with one scale."""
    stored = c.constants.integers_of(name)
    assert stored is not None
    grid = Grid(float(stored.scales[0]), int(stored.zero_points.reshape(-1)[0]), stored.values.dtype)
    integers = _int8_of(grid)
    if integers is not None:
        c.integers.of_tensors[value.tensor.name] = integers
        c.integers.types.add(grid.dtype.name)


def scales_along(shape: Sequence[int], parameters: Array, axis: int, block: int) -> Array:
    """Return scales or zero points of a quantization in a form that broadcasts to values of a shape.

    There may be one for all values, one for each index of the axis, or one for each block along the axis (0: there are
    no blocks). Raises WeightsError for other shapes.
    """
    if parameters.size == 1:
        return parameters.reshape(())
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


def _quantize_constant(
    x: Given, scale: Given, zero: Given | None = None, *, axis: int = 1, block_size: int = 0,
    output_dtype: int = 0, saturate: bool = True, precision: int = 0,
) -> Constant:  # fmt: skip
    """Compute x / scale + zero point. Integers are rounded, and clipped to the range of their type."""
    _refuse_precision(precision)
    target = output_dtype or UINT8
    if zero is not None:
        target = type_number(zero.low.dtype)
    name, convert = element_type(target), converter(target, saturate=saturate)
    integers = range_of_integers(name)

    def compute(values: Array, steps: Array, zero_point: Array | None) -> Array:
        def along(parameters: Array) -> Array:
            return scales_along(values.shape, parameters, axis, block_size)

        def quantized() -> Array:
            made = values / along(steps)
            offset = None if zero_point is None else along(zero_point)
            if integers is None:
                return convert(made if offset is None else made + offset.astype(made.dtype))
            whole = np.rint(made).astype(np.int32)
            whole = whole if offset is None else whole + offset.astype(np.int32)
            return convert(np.clip(whole, *integers))

        return x.run(4 * values.size, FUNCTION, quantized)

    return x.compute(compute, scale, zero)


def _refuse_precision(precision: int) -> None:
    """Refuse a division in another precision than that of the operands, the default."""
    if precision not in (0, FLOAT):
        raise UnsupportedError(f"its precision is {precision}, which is not supported")


@ignores("saturate")  # only for floats of 8 bits, which are no tensors of the network
def _quantize(
    c: Context, node: Node, x: Name, scale: Name, zero: Name | None = None, *, axis: int = 1,
    block_size: int = 0, output_dtype: int = 0, precision: int = 0,
) -> Value | None:  # fmt: skip
    """Convert QuantizeLinear. If only DequantizeLinear with the same integers reads its result, no layer is added."""
    _refuse_precision(precision)
    if not _is_undone(c, node):
        return _integers(c, node, x, scale, zero, output_dtype, axis, block_size)
    c.integers.quantized[node.outputs[0]] = Quantized(x, c.value(x), _grid(c, node))
    return None


def _is_undone(c: Context, node: Node) -> bool:
    """Return True if only DequantizeLinear with the same constant scale and zero point reads the integers."""
    name = node.outputs[0]
    users = c.users(name)
    if name in c.results or any(user.kind != "DequantizeLinear" or user.inputs[0] != name for user in users):
        return False
    try:
        grid = _grid(c, node)
        return all(_grid(c, user, grid.dtype) == grid for user in users)
    except Error:
        return False


def _integers(
    c: Context, node: Node, name: str, scale: str, zero: str | None, output_dtype: int, axis: int, block: int
) -> FileTensor:
    """Compute the integers of QuantizeLinear: x / scale, rounded, plus the zero point, clipped to their range."""
    x = c.value(name)
    kind = c.type_of(zero) if zero is not None else element_type(output_dtype or UINT8)
    limits = range_of_integers(kind)
    if limits is None:
        raise UnsupportedError(f"makes {kind} of computed numbers; supported are integers")
    steps = _parameters(c, node, scale, "scale", x, axis, block)
    y = x.combine("divide", steps, "/divided").map("round", "/rounded")
    if zero is not None:
        y = y.combine("add", _parameters(c, node, zero, "zero_point", x, axis, block), "/moved")
    return y.map({"kind": "clamp", "a": float(limits[0]), "b": float(limits[1])}).mark_as_integers()


@ignores("output_dtype")  # the type of floats
def _dequantize_constant(
    constants: Constants, node: Node, x: Given, scale: Given, zero: Given | None = None, *, axis: int = 1,
    block_size: int = 0,
) -> Constant:  # fmt: skip
    """Compute (x - zero point) * scale."""

    def compute(values: Array, steps: Array, zero_point: Array | None) -> Array:
        if not has_scales(values.dtype):
            raise UnsupportedError("dequantises something other than integers and floats of 8 bits")

        def along(parameters: Array) -> Array:
            return scales_along(values.shape, parameters, axis, block_size).astype(np.float32)

        def numbers() -> Array:
            offset = 0 if zero_point is None else along(zero_point)
            return np.asarray((values.astype(np.float32) - offset) * along(steps))

        return x.run(4 * values.size, FUNCTION, numbers)

    made = x.compute(compute, scale, zero)
    if made.low is made.high:
        constants.note_dequantized(node.outputs[0], node)
    return made


@ignores("output_dtype")
def _dequantize(
    c: Context, node: Node, name: Name, scale: Name, zero: Name | None = None, *, axis: int = 1,
    block_size: int = 0,
) -> Value:  # fmt: skip
    """Convert DequantizeLinear.

    After QuantizeLinear it is the value before both, clipped to the range of the integers.
    """
    found = c.integers.quantized.get(name)
    if found is None:
        return _numbers(c, node, name, scale, zero, axis, block_size)
    x, integers = found.value, _int8_of(found.grid)
    if not found.is_limited and (integers is None or integers not in _integers_of(c, x)):
        low, high = found.grid.limits
        x = x.map({"kind": "clamp", "a": low, "b": high})
        c.integers.limits[x.tensor.name] = found.name, found.grid
    c.integers.quantized[name] = replace(found, value=x, is_limited=True)
    if integers is not None:
        c.integers.of_tensors[x.tensor.name] = integers
        c.integers.types.add(found.grid.dtype.name)
    return x


def _integers_of(c: Context, x: Arranged) -> list[Grid | None]:
    """Return the quantizations whose range a tensor does not exceed: its own, and that of the image that it pools."""
    name = x.tensor.name
    return [c.integers.of_tensors.get(one) for one in (name, c.integers.pooled.get(name, name))]


def _numbers(
    c: Context, node: Node, name: str, scale: str, zero: str | None, axis: int, block: int
) -> FileTensor:
    """Compute the numbers of DequantizeLinear: (x - zero point) * scale."""
    x = c.tensor(name, whole_numbers=True).mark_as_floats()
    y = x
    if zero is not None:
        y = y.combine("subtract", _parameters(c, node, zero, "zero_point", x, axis, block), "/moved")
    return y.combine("multiply", _parameters(c, node, scale, "scale", x, axis, block)).mark_as_floats()


def _parameters(
    c: Context, node: Node, name: str, what: str, x: FileTensor, axis: int, block: int
) -> FileTensor:
    """Return the scales or zero points of a node as a tensor that broadcasts to its first operand."""
    if c.is_constant(name):
        shape = x.trial_shapes()[1]
        if block:
            c.constants.budget.copy(4 * math.prod(shape))
        numbers = scales_along(shape, c.constants.real(name, "its scale or zero point"), axis, block)
        return constant_of_node(c, node, numbers, what, x.rank)
    found = c.value(name, whole_numbers=True).mark_as_floats()
    if block:
        raise UnsupportedError("the scales of its blocks are computed by the network, which is not supported")
    if found.rank != 1 or found.shape == (1,):
        return found
    return found.expand_dims(range(1, x.rank - x.axis(axis)))


def _int8_of(grid: Grid) -> Grid | None:
    """Return the quantization as int8; None for wider integers, and for scales that are tiny or infinite.

    The zero point of uint8 is lowered by 128.
    """
    if grid.dtype.itemsize != 1 or not _MIN_SCALE <= grid.step < np.inf:
        return None
    return Grid(grid.step, grid.zero_point - (128 if grid.dtype == np.uint8 else 0), np.dtype(np.int8))


def _grid(c: Context, node: Node, otherwise: np.dtype[Any] | None = None) -> Grid:
    """Return the scale, zero point and type of a QuantizeLinear or DequantizeLinear.

    Without a zero point, the type is the one that the node states, or `otherwise`.
    """
    scale = c.constants.real(node.input(1), "its scale")
    if scale.size != 1:
        raise UnsupportedError(f"it has {scale.size} scales, one for each channel, which is not supported")
    name = node.input(2)
    if name is None:
        stated = node.integer("output_dtype", 0) if node.kind == "QuantizeLinear" else 0
        dtype = np.dtype(np.uint8) if otherwise is None else otherwise
        if stated:
            if element_type(stated) not in _STATED:
                raise UnsupportedError(
                    f"its output_dtype is {stated}; supported are integers of 8, 16 and 32 bits"
                )
            dtype = array_type(stated)
        return Grid(float(scale.reshape(-1)[0]), 0, dtype)
    zero_point = c.constants.fixed(name, "its zero point")
    if zero_point.size != 1 or zero_point.dtype.kind not in "iu":
        raise UnsupportedError(
            f"it quantises to {zero_point.dtype} with {zero_point.size} zero points; supported is one integer"
        )
    return Grid(float(scale.reshape(-1)[0]), int(zero_point.reshape(-1)[0]), zero_point.dtype)


QUANTIZATIONS_OF_CONSTANTS: dict[str, Row] = {
    "DequantizeLinear": _dequantize_constant,
    "QuantizeLinear": _quantize_constant,
}
QUANTIZATIONS_OF_TENSORS: dict[str, Row] = {"DequantizeLinear": _dequantize, "QuantizeLinear": _quantize}
