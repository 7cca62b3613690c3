"""Compose ONNX operators into functions that read or write elements at positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.onnx_builder.builder import FLOAT, INT64, Builder
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1
_REDUCTIONS = {"update": "none", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def cast_to_int(b: Builder, x: str) -> str:
    """Return a tensor as whole numbers: positions may be stored as floats."""
    return x if b.is_integer(x) else b.op("Cast", x, to=INT64)


def top_k(b: Builder, x: str, axis: int, count: int | None, *, largest: bool) -> tuple[str, str]:
    """Return the `count` best elements of an axis and their positions, the best first. None: all elements."""
    place = b.axis(x, axis)
    extent = b.extents(x)[place]
    if count is None:
        if extent is None:
            raise UnsupportedError("orders an axis whose extent is not known")
        count = extent
    if not 0 < count <= _LARGEST or (extent is not None and count > extent):
        raise WeightsError(f"damaged: takes {count} of {extent} elements")
    values, positions = b.ops("TopK", [x, [count]], 2, axis=place, largest=int(largest))
    return values, positions


def one_hot(b: Builder, positions: str, depth: int, axis: int, on: float, off: float) -> str:
    """Add an axis with one number at the position and another elsewhere."""
    rank = b.rank(positions)
    if not 0 < depth <= _LARGEST or not -rank - 1 <= axis <= rank:
        raise WeightsError(f"damaged: {depth} places on axis {axis} of {rank + 1}")
    values = b.weight("values", np.asarray([off, on], np.float32))
    return b.op("OneHot", cast_to_int(b, positions), [depth], values, axis=axis)


def embedding_lookup(b: Builder, positions: str, table: str, bias: str | None) -> str:
    """Look up rows of a constant table, and add a bias to each of them."""
    rows = b.op("Gather", table, cast_to_int(b, positions), axis=0)
    return rows if bias is None else b.op("Add", rows, bias)


def scatter(b: Builder, kind: str, operands: Sequence[str], mode: str, axis: int | None = None) -> str:
    """Write elements at positions: ScatterElements along an axis, or ScatterND.

    Args:
        kind: the name of the operator in ONNX.
        operands: the tensor that is changed, the positions and the new elements.
        mode: Core ML's name of the rule that combines the new elements with those of the tensor.
        axis: the axis of ScatterElements.
    """
    x, positions, updates = operands
    if mode not in _REDUCTIONS:
        raise UnsupportedError(f"scatters by {mode!r}; supported is 'update', which replaces elements")
    settings: dict[str, int] = {} if axis is None else {"axis": axis}
    return b.op(kind, x, cast_to_int(b, positions), updates, reduction=_REDUCTIONS[mode], **settings)


def scatter_slices(b: Builder, operands: Sequence[str], mode: str, axis: int) -> str:
    """Write slices of an axis at the positions of a vector."""
    x, positions, updates = operands
    place, extents = b.axis(x, axis), b.fixed_shape(updates)
    if b.rank(positions) != 1 or len(extents) != b.rank(x):
        raise WeightsError(f"damaged: {b.rank(positions)} axes of positions for slices {extents}")
    shape = [-1 if number == place else 1 for number in range(len(extents))]
    column = b.op("Reshape", cast_to_int(b, positions), shape)
    spread = b.op("Expand", column, extents)
    return scatter(b, "ScatterElements", [x, spread, updates], mode, axis)


def cast_to_float(b: Builder, positions: str) -> str:
    """Return positions as floats, as the blobs of Caffe and of Core ML's neural networks are."""
    return b.op("Cast", positions, to=FLOAT)
