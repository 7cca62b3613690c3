"""Convert operators that read or write elements at positions: TopK, OneHot, GatherElements, ScatterND and others."""

from __future__ import annotations

import math

from mpscnn.converters.flat_indices import (
    fixed_size,
    scatter_along_axis,
    scatter_at,
    take_along_axis,
    take_at,
)
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.sampling import Sampling, sample
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError


def _top_k(c: Context, node: Node) -> list[FileTensor] | None:
    """Convert TopK of a constant number of elements. Equal elements keep their order."""
    x = c.x(node)
    axis = x.axis(node.integer("axis", -1))
    count = node.integer("k") if c.file.opset < 10 else c.constants.integers(node.input(1), "its number")[0]
    indices = x.top_k(axis, count, largest=node.flag("largest", default=True))
    results = [indices, indices]
    if node.outputs and c.is_used(node.outputs[0]):
        results[0] = x.take_along_axis(axis, indices)
    return results[: len(node.outputs)]


def _one_hot(c: Context, node: Node) -> FileTensor:
    """Convert OneHot: a new axis with one number at the index and another elsewhere.

    Negative indices count from the end, and indices beyond the new axis select no place of it.
    """
    x = c.x(node, whole_numbers=True)
    stated = c.constants.real(node.inputs[1], "its depth").reshape(-1)  # ONNX allows any type of numbers
    depth = [int(number) for number in stated if math.isfinite(number)]
    values = c.constants.real(node.inputs[2], "its values").reshape(-1)
    axis = node.integer("axis", -1)
    if len(depth) != 1 or depth[0] < 1 or values.size != 2 or not -x.rank - 1 <= axis <= x.rank:
        raise WeightsError(f"damaged: {depth[:8]} places on axis {axis} of {x.shown}, {values.size} numbers")
    off, on = (float(value) for value in values)
    if not x.whole_numbers:
        x = x.truncate()
    return x.wrap_negative_indices(depth[0]).one_hot(axis, depth[0], on, off)


# ---- Gathers -------------------------------------------------------------------------------------------------------


def _gather_nd(o: Operands) -> Value:
    """Convert GatherND by constant indices. PyTorch's exporter writes it for indexing the first axis by a list."""
    if o.node.integer("batch_dims", 0):
        raise UnsupportedError("takes other places for each image of the batch, which is not supported")
    return take_at(o.x(whole_numbers=True), o.constant(1, "its indices"))


def _gather_elements(o: Operands) -> Value:
    x = o.x(whole_numbers=True)
    return take_along_axis(x, x.axis(o.node.integer("axis", 0)), o.value(1, whole_numbers=True))


# ---- Scatters ------------------------------------------------------------------------------------------------------


_OPERATIONS = {"none": None, "add": "add", "mul": "multiply", "max": "maximum", "min": "minimum"}


def _scatter(o: Operands) -> Value:
    """Convert ScatterElements and ScatterND by constant indices."""
    kind = o.node.text("reduction", "none")
    if kind not in _OPERATIONS:
        raise WeightsError(f"damaged: its reduction is {kind!r}")
    x, updates = _scattered_operands(o)
    indices, operation = o.constant(1, "its indices"), _OPERATIONS[kind]
    if o.node.kind == "ScatterND":
        return scatter_at(x, indices, updates, operation)
    return scatter_along_axis(x, x.axis(o.node.integer("axis", 0)), indices, updates, operation)


def _scattered_operands(o: Operands) -> tuple[Value, Value]:
    """Return the tensor that is changed, and the updates. A constant counts positions with its first axis."""
    if o.are_constants:
        return o.given(0), o.given(2)
    c, name = o.c, o.node.inputs[2]
    x = c.tensor(o.node.inputs[0], whole_numbers=True)
    known, rank = c.constants.find(name), None
    if known is not None and c.arranger.batch is not None and known.low.shape[:1] != (1,):
        fixed_size(x)
        rank = known.low.ndim + 1  # one more axis for the batch
    return x, c.tensor(name, rank, whole_numbers=True)


# ---- Samples -------------------------------------------------------------------------------------------------------

_METHODS = {"bilinear": False, "linear": False, "nearest": True}


def _grid_sample(c: Context, node: Node) -> FileTensor:
    """Convert GridSample of images by computed or constant positions."""
    x, grid = c.x(node), c.tensor(node.inputs[1])
    method, border = node.text("mode", "linear"), node.text("padding_mode", "zeros")
    if method not in _METHODS:
        raise UnsupportedError(f"its mode is {method!r}; supported are bilinear (linear) and nearest")
    if border not in ("zeros", "border", "reflection"):
        raise WeightsError(f"damaged: its padding_mode is {border!r}")
    if x.rank != 4 or grid.rank != 4 or grid.shape[3] != 2 or not grid.has_batch_first:
        raise UnsupportedError(f"samples {x.shown} at positions {grid.shown}; supported are images")
    sampling = Sampling(_METHODS[method], border, node.flag("align_corners", default=False))
    positions = c.arranger.physical(grid, grid.axes[1:])
    return x.wrap_image(sample(c.arranger, x.image(), positions, sampling))


INDEXING: dict[str, Row] = {
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
}
"""The functions of operators that serve constants and tensors of the network alike."""

SELECTIONS: dict[str, Handler] = {"GridSample": _grid_sample, "OneHot": _one_hot, "TopK": _top_k}
