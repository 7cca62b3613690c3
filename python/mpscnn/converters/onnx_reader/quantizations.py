"""Convert QuantizeLinear and DequantizeLinear between layers.

In a float network such a pair only clips to the range of the integers. Clipping matters, because files leave out a ReLU
if the integers represent no number below zero. The scales and zero points are kept for precision "int8"
(`integer_network`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mpscnn.converters.integer_limits import Grid
from mpscnn.converters.layout import Arranged
from mpscnn.converters.onnx_reader.context import Context, Handler, Integers, Quantized
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError

_MIN_SCALE = 2.0**-126
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


def _quantize(c: Context, node: Node) -> None:
    """Convert QuantizeLinear: no layer is added. Only a DequantizeLinear may read the result."""
    source = node.inputs[0]
    c.integers.quantized[node.outputs[0]] = Quantized(source, c.value(source), _grid(c, node))


def _dequantize(c: Context, node: Node) -> FileTensor:
    """Convert DequantizeLinear after QuantizeLinear to the value before both, clipped to the range of the integers."""
    found = c.integers.quantized.get(node.inputs[0])
    if found is None:
        raise UnsupportedError(
            "it makes floats of integers that the network computes, which is not supported"
        )
    if _grid(c, node, found.grid.dtype) != found.grid:
        raise UnsupportedError("its scale or zero point is not that of the quantisation before it")
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
