"""Convert operators that read or write elements at positions: TopK, OneHot, GatherElements, ScatterND and others."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Computed, ComputedWhole, Either, Given, Opset, Whole
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.flat_indices import (
    fixed_size,
    scatter_along_axis,
    scatter_at,
    take_along_axis,
    take_at,
)
from mpscnn.converters.values.image_blocks import images_apart, images_below_each_other
from mpscnn.converters.values.rows import Name, Operand, Row, ignores
from mpscnn.converters.values.sampling import Sampling, sample
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError

_NUMBER_IS_OPERAND = 10  # the first opset in which the number of TopK is an operand


@ignores("sorted")
def _top_k(
    c: Context, node: Node, opset: Opset, x: Computed, number: Name | None = None,
    *, axis: int = -1, k: int | None = None, largest: bool = True,
) -> list[FileTensor] | None:  # fmt: skip
    """Convert TopK of a constant number of elements. Equal elements keep their order."""
    along = x.axis(axis)
    count = k if opset < _NUMBER_IS_OPERAND else c.constants.integers(number, "its number")[0]
    if count is None:
        raise WeightsError("damaged: it has no k")
    indices = x.top_k(along, count, largest=largest)
    results = [indices, indices]
    if node.outputs and c.is_used(node.outputs[0]):
        results[0] = x.take_along_axis(along, indices)
    return results[: len(node.outputs)]


def _one_hot(
    x: ComputedWhole,
    depth: Annotated[Constant, Operand("its depth")],
    values: Annotated[Constant, Operand("its values")],
    *,
    axis: int = -1,
) -> FileTensor:
    """Convert OneHot: a new axis with one number at the index and another elsewhere.

    Negative indices count from the end, and indices beyond the new axis select no place of it.
    """
    stated = depth.real("its depth").reshape(-1)  # ONNX allows any type of numbers
    places = [int(number) for number in stated if math.isfinite(number)]
    numbers = values.real("its values").reshape(-1)
    if len(places) != 1 or places[0] < 1 or numbers.size != 2 or not -x.rank - 1 <= axis <= x.rank:
        raise WeightsError(
            f"damaged: {places[:8]} places on axis {axis} of {x.shown}, {numbers.size} numbers"
        )
    off, on = (float(value) for value in numbers)
    if not x.whole_numbers:
        x = x.truncate()
    return x.wrap_negative_indices(places[0]).one_hot(axis, places[0], on, off)


# ---- Gathers -------------------------------------------------------------------------------------------------------


Indices = Annotated[Constant, Operand("its indices")]


def _gather_nd(x: Whole, indices: Indices, *, batch_dims: int = 0) -> Value:
    """Convert GatherND by constant indices. PyTorch's exporter writes it for indexing the first axis by a list."""
    if batch_dims:
        raise UnsupportedError("takes other places for each image of the batch, which is not supported")
    return take_at(x, indices)


def _gather_elements(x: Whole, indices: Either, *, axis: int = 0) -> Value:
    return take_along_axis(x, x.axis(axis), indices)


# ---- Scatters ------------------------------------------------------------------------------------------------------


Reduction = Literal["none", "add", "mul", "max", "min"]
_OPERATIONS = {"none": None, "add": "add", "mul": "multiply", "max": "maximum", "min": "minimum"}


def _scatter_nd_of_constants(
    x: Given, indices: Indices, updates: Given, *, reduction: Reduction = "none"
) -> Value:
    return scatter_at(x, indices, updates, _OPERATIONS[reduction])


def _scatter_nd(
    c: Context, x: Name, indices: Indices, updates: Name, *, reduction: Reduction = "none"
) -> Value:
    """Convert ScatterND by constant indices."""
    return scatter_at(*_scattered(c, x, indices, updates), _OPERATIONS[reduction])


def _scatter_elements_of_constants(
    x: Given, indices: Indices, updates: Given, *, axis: int = 0, reduction: Reduction = "none"
) -> Value:
    return scatter_along_axis(x, x.axis(axis), indices, updates, _OPERATIONS[reduction])


def _scatter_elements(
    c: Context, x: Name, indices: Indices, updates: Name, *, axis: int = 0, reduction: Reduction = "none"
) -> Value:
    """Convert ScatterElements by constant indices."""
    value, places, new = _scattered(c, x, indices, updates)
    return scatter_along_axis(value, value.axis(axis), places, new, _OPERATIONS[reduction])


def _scattered(
    c: Context, x: str, indices: Constant, updates: str
) -> tuple[FileTensor, Constant, FileTensor]:
    """Return the tensor that is changed, where, and the updates. A constant counts positions with its first axis."""
    value, known, rank = c.tensor(x, whole_numbers=True), c.constants.find(updates), None
    if known is not None and c.arranger.batch is not None and known.low.shape[:1] != (1,):
        fixed_size(value)
        rank = known.low.ndim + 1  # one more axis for the batch
    return value, indices, c.tensor(updates, rank, whole_numbers=True)


# ---- Samples -------------------------------------------------------------------------------------------------------

Method = Literal["bilinear", "linear", "nearest"]
Outside = Literal["zeros", "border", "reflection"]


def _grid_sample(
    c: Context, x: Computed, grid: Name, *, mode: Method = "linear", padding_mode: Outside = "zeros",
    align_corners: bool = False,
) -> FileTensor:  # fmt: skip
    """Convert GridSample of images by computed or constant positions."""
    places = c.tensor(grid, 4)
    fits = x.rank == places.rank == 4 and places.shape[3] == 2
    below, count = images_below_each_other(x, 2) if fits else (x, 1)
    positions, own = images_below_each_other(places, 1) if fits else (places, 1)
    if not fits or count != own or not positions.has_batch_first:
        raise UnsupportedError(f"samples {x.shown} at positions {places.shown}; supported are images")
    sampling = Sampling(mode == "nearest", padding_mode, align_corners)
    grids = c.arranger.physical(positions, positions.axes[1:])
    y = x.wrap_image(sample(c.arranger, below.image(), grids, sampling, count))
    return images_apart(y, 2, count)


INDEXING: dict[str, Row] = {"GatherElements": _gather_elements, "GatherND": _gather_nd}
"""The rows of operators that serve constants and tensors of the network alike."""

INDEXING_OF_CONSTANTS: dict[str, Row] = {
    "ScatterElements": _scatter_elements_of_constants,
    "ScatterND": _scatter_nd_of_constants,
}
INDEXING_OF_TENSORS: dict[str, Row] = {
    "GridSample": _grid_sample,
    "OneHot": _one_hot,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TopK": _top_k,
}
