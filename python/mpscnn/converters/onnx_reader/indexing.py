"""Convert operators that read or write elements at positions: TopK, OneHot, GatherElements, ScatterND and others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.budget import Cost
from mpscnn.converters.flat_indices import (
    fixed_size,
    numbers_in,
    scatter_and_combine,
    scatter_flat,
    take_flat,
)
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row, either
from mpscnn.converters.sampling import Sampling, sample
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unsupported import CHOOSE_SIZE
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


def _gather_nd_of_constant(o: Operands) -> Value:
    if o.node.integer("batch_dims", 0):
        raise UnsupportedError("takes other places of each part of a constant, which is not supported")
    return o.given(0).take_at(o.given(1))


def _gather_nd(c: Context, node: Node) -> FileTensor:
    """Convert GatherND by constant indices. PyTorch's exporter writes it for indexing the first axis by a list."""
    x, indices = c.x(node, whole_numbers=True), c.constants.fixed(node.input(1), "its indices")
    if node.integer("batch_dims", 0) or indices.ndim < 1:
        raise UnsupportedError("takes other places for each image of the batch, which is not supported")
    if indices.shape[-1] == 1:
        return x.take(0, indices[..., 0])
    rest = x.trial_shapes()[1][indices.shape[-1] :]
    return take_flat(x, numbers_in(c.constants.budget, x, indices), [*indices.shape[:-1], *rest])


def _gather_elements(c: Context, node: Node) -> FileTensor:
    x = c.x(node, whole_numbers=True)
    axis = x.axis(node.integer("axis", 0))
    name = node.input(1)
    if name is not None and not c.is_constant(name):
        return x.take_along_axis(axis, c.value(name, whole_numbers=True))
    return _by_constant_indices(c, x, axis, c.constants.fixed(name, "its indices"))


def _by_constant_indices(c: Context, x: FileTensor, axis: int, given: NDArray[Any]) -> FileTensor:
    """Convert GatherElements with constant indices, to a gather from all elements of an image."""
    low, high = x.trial_shapes()
    if given.ndim != x.rank or not given.size:
        raise WeightsError(f"damaged: takes elements of {x.shown} by indices {given.shape}")
    c.constants.budget.spend(Cost(8 * given.size, 8 * given.size))
    if x.has_batch_first and (high[0] != 1 or len(given) != 1):
        if axis == 0 or len(given) != high[0] or not bool((given == given[:1]).all()):
            raise UnsupportedError("takes other elements for each image of the batch")
        own, extents, axis = given[0], low[1:], axis - 1
    else:
        own, extents = given, low
    first = [low[:1], high[:1]] if own is not given else [[], []]
    if extents != high[len(high) - len(extents) :]:
        raise UnsupportedError(f"takes elements of {x.shown}, whose size is free: {CHOOSE_SIZE}")
    numbers = _along(x, own, axis, extents).reshape(-1)
    flat = x.reshape_to(*([*(batch or [1]), math.prod(extents)] for batch in first))
    return flat.take(1, numbers).reshape_to(*([*batch, *own.shape] for batch in first))


def _along(x: FileTensor, own: NDArray[Any], axis: int, extents: Sequence[int]) -> NDArray[np.int64]:
    """Return the flat indices of the elements that indices along an axis select."""
    others = (place for place in range(own.ndim) if place != axis)
    beyond = any(own.shape[place] > extents[place] for place in others)
    if beyond or int(own.min()) < -extents[axis] or int(own.max()) >= extents[axis]:
        raise WeightsError(f"damaged: its indices {own.shape} are beyond {x.shown}")
    places: list[Any] = list(np.indices(own.shape, sparse=True))
    places[axis] = own % extents[axis]
    every: Any = np.broadcast_arrays(*places)
    return np.asarray(np.ravel_multi_index(every, tuple(extents)))


# ---- Scatters ------------------------------------------------------------------------------------------------------


def _scatter_into_constant(o: Operands) -> Value:
    x, indices, updates = (o.given(place) for place in range(3))
    kind = o.node.text("reduction", "none")
    if o.node.kind == "ScatterND":
        return x.scatter_at(indices, updates, kind)
    return x.scatter_along_axis(o.node.integer("axis", 0), indices, updates, kind)


def _scatter_nd(c: Context, node: Node) -> FileTensor:
    """Convert ScatterND by constant indices."""
    x, updates = _scattered_operands(c, node)
    numbers = numbers_in(c.constants.budget, x, c.constants.fixed(node.input(1), "its indices"))
    return _scattered(node, x, numbers, updates)


def _scatter_elements(c: Context, node: Node) -> FileTensor:
    """Convert ScatterElements by constant indices."""
    x, updates = _scattered_operands(c, node)
    given = c.constants.fixed(node.input(1), "its indices")
    fixed_size(x)
    if given.ndim != x.rank or not given.size:
        raise WeightsError(f"damaged: its indices {given.shape} do not fit {x.shown}")
    c.constants.budget.spend(Cost(8 * given.size, 8 * given.size))
    numbers = _along(x, given, x.axis(node.integer("axis", 0)), x.trial_shapes()[1])
    return _scattered(node, x, numbers, updates)


_REDUCTIONS = {"add": "add", "mul": "multiply", "max": "maximum", "min": "minimum"}


def _scattered(node: Node, x: FileTensor, numbers: NDArray[np.int64], updates: FileTensor) -> FileTensor:
    kind = node.text("reduction", "none")
    if kind == "none":
        return scatter_flat(x, numbers, updates)
    return scatter_and_combine(x, numbers, updates, _REDUCTIONS[kind])


def _scattered_operands(c: Context, node: Node) -> tuple[FileTensor, FileTensor]:
    kind = node.text("reduction", "none")
    if kind not in ("none", *_REDUCTIONS):
        raise WeightsError(f"damaged: its reduction is {kind!r}")
    x, name = c.tensor(node.inputs[0], whole_numbers=True), node.inputs[2]
    known, rank = c.constants.find(name), None
    if known is not None and c.arranger.batch is not None and known.low.shape[:1] != (1,):
        fixed_size(x)
        # The first axis of the constant counts positions, so the constant gets one more axis for the batch.
        rank = known.low.ndim + 1
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
    "GatherElements": either(
        lambda o: o.given(0).take_along_axis(o.node.integer("axis", 0), o.given(1)), _gather_elements
    ),
    "GatherND": either(_gather_nd_of_constant, _gather_nd),
    "ScatterElements": either(_scatter_into_constant, _scatter_elements),
    "ScatterND": either(_scatter_into_constant, _scatter_nd),
}
"""The functions of operators that serve constants and tensors of the network alike."""

SELECTIONS: dict[str, Handler] = {"GridSample": _grid_sample, "OneHot": _one_hot, "TopK": _top_k}
