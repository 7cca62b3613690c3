"""Convert QuantizeLinear and DequantizeLinear between layers.

In a float network such a pair only clips to the range of the integers. Clipping matters, because files leave out a ReLU
if the integers represent no number below zero. The scales and zero points are kept for precision "int8"
(`integer_network`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mpscnn.converters.integer_limits import Grid
from mpscnn.converters.layout import Arranged
from mpscnn.converters.onnx_reader.attention_masks import constant_of_node
from mpscnn.converters.onnx_reader.constant_operators import range_of_integers, scales_along
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.known_results import Integers, Quantized
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.tensors import element_type
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import Error, UnsupportedError

_MIN_SCALE = 2.0**-126
_UINT8 = 2  # the number of uint8 in ONNX
#: NumPy's types of integers by ONNX' numbers of data types.
_STATED = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32}


def note_integers(c: Context, value: Arranged, name: str) -> None:
    """Record the quantization of a constant that was dequantized from integers with one scale."""
    stored = c.constants.integers_of(name)
    assert stored is not None
    grid = Grid(float(stored.scales[0]), int(stored.zero_points.reshape(-1)[0]), stored.values.dtype)
    integers = _int8_of(grid)
    if integers is not None:
        c.integers.of_tensors[value.tensor.name] = integers
        c.integers.types.add(grid.dtype.name)


def _quantize(c: Context, node: Node) -> FileTensor | None:
    """Convert QuantizeLinear. If only DequantizeLinear with the same integers reads its result, no layer is added."""
    source = node.inputs[0]
    if not _is_undone(c, node):
        return _integers(c, node)
    grid = _grid(c, node)
    c.integers.quantized[node.outputs[0]] = Quantized(source, c.value(source), grid)
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


def _integers(c: Context, node: Node) -> FileTensor:
    """Compute the integers of QuantizeLinear: x / scale, rounded, plus the zero point, clipped to their range."""
    x, zero = c.value(node.inputs[0]), node.input(2)
    kind = c.type_of(zero) if zero is not None else element_type(node.integer("output_dtype", 0) or _UINT8)
    limits = range_of_integers(kind)
    if limits is None:
        raise UnsupportedError(f"makes {kind} of computed numbers; supported are integers")
    y = x.combine("divide", _parameters(c, node, 1, x), "/divided").map("round", "/rounded")
    if zero is not None:
        y = y.combine("add", _parameters(c, node, 2, x), "/moved")
    return y.map({"kind": "clamp", "a": float(limits[0]), "b": float(limits[1])}).mark_as_integers()


def _dequantize(c: Context, node: Node) -> FileTensor:
    """Convert DequantizeLinear.

    After QuantizeLinear it is the value before both, clipped to the range of the integers.
    """
    found = c.integers.quantized.get(node.inputs[0])
    if found is None:
        return _numbers(c, node)
    x, integers = found.value, _int8_of(found.grid)
    if not found.is_limited and (integers is None or integers not in _integers_of(c, x)):
        low, high = found.grid.limits
        x = x.map({"kind": "clamp", "a": low, "b": high})
        c.integers.limits[x.tensor.name] = found.name, found.grid
    c.integers.quantized[node.inputs[0]] = replace(found, value=x, is_limited=True)
    if integers is not None:
        c.integers.of_tensors[x.tensor.name] = integers
        c.integers.types.add(found.grid.dtype.name)
    return x


def _integers_of(c: Context, x: Arranged) -> list[Integers | None]:
    """Return the quantizations whose range a tensor does not exceed: its own, and that of the image that it pools."""
    name = x.tensor.name
    return [c.integers.of_tensors.get(one) for one in (name, c.integers.pooled.get(name, name))]


def _numbers(c: Context, node: Node) -> FileTensor:
    """Compute the numbers of DequantizeLinear: (x - zero point) * scale."""
    x = c.tensor(node.inputs[0], whole_numbers=True).mark_as_floats()
    y = x
    if node.input(2) is not None:
        y = y.combine("subtract", _parameters(c, node, 2, x), "/moved")
    return y.combine("multiply", _parameters(c, node, 1, x)).mark_as_floats()


def _parameters(c: Context, node: Node, place: int, x: FileTensor) -> FileTensor:
    """Return the scales or zero points of a node as a tensor that broadcasts to its first operand."""
    name = node.inputs[place]
    if c.is_constant(name):
        shape = x.trial_shapes()[1]
        if node.integer("block_size", 0):
            c.constants.budget.copy(4 * math.prod(shape))
        numbers = scales_along(node, shape, c.constants.real(name, "its scale or zero point"))
        return constant_of_node(c, node, numbers, "zero_point" if place == 2 else "scale", x.rank)
    found = c.value(name, whole_numbers=True).mark_as_floats()
    if node.integer("block_size", 0):
        raise UnsupportedError("the scales of its blocks are computed by the network, which is not supported")
    if found.rank != 1 or found.shape == (1,):
        return found
    return found.expand_dims(range(1, x.rank - x.axis(node.integer("axis", 1))))


def _int8_of(grid: Grid) -> Integers | None:
    """Return the quantization as int8; None for wider integers, and for scales that are tiny or infinite.

    The zero point of uint8 is lowered by 128.
    """
    if grid.dtype.itemsize != 1 or not _MIN_SCALE <= grid.step < np.inf:
        return None
    return grid.step, grid.zero_point - (128 if grid.dtype == np.uint8 else 0)


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
            if stated not in _STATED:
                raise UnsupportedError(
                    f"its output_dtype is {stated}; supported are integers of 8, 16 and 32 bits"
                )
            dtype = np.dtype(_STATED[stated])
        return Grid(float(scale.reshape(-1)[0]), 0, dtype)
    zero_point = c.constants.fixed(name, "its zero point")
    if zero_point.size != 1 or zero_point.dtype.kind not in "iu":
        raise UnsupportedError(
            f"it quantises to {zero_point.dtype} with {zero_point.size} zero points; supported is one integer"
        )
    return Grid(float(scale.reshape(-1)[0]), int(zero_point.reshape(-1)[0]), zero_point.dtype)


QUANTIZATIONS: dict[str, Handler] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
