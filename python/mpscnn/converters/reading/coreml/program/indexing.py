"""Convert operations of programs that read or write elements at positions."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.program.row_calls import Flag, Real, Tensor, Whole
from mpscnn.converters.reading.graph.blocks import cast_to_int
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Operand, Row, ignores
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1


def _ordered(b: Builder, x: str, axis: int, count: int | None, *, ascending: bool) -> list[str]:
    """Return the first elements of an axis in order, and their positions. None: all elements."""
    axis = b.axis(x, axis)
    extent = b.extents(x)[axis]
    if count is None:
        if extent is None:
            raise UnsupportedError("orders an axis whose extent is not known")
        count = extent
    if not 0 < count <= _LARGEST or (extent is not None and count > extent):
        raise WeightsError(f"damaged: takes {count} of {extent} elements")
    return ops.top_k(b, x, [count], axis=axis, largest=int(not ascending))


def _order(b: Builder, x: Tensor, axis: Whole = -1, ascending: Flag = False) -> str:
    return _ordered(b, x, axis, None, ascending=ascending)[1]


@ignores("output_indices_dtype", "sort")
def _top_k(
    b: Builder, x: Tensor, k: Whole = 1, axis: Whole = -1, ascending: Flag = False,
    return_indices: Flag = True,
) -> list[str]:  # fmt: skip
    """Convert topk. Its results are sorted also where the program allows any order."""
    made = _ordered(b, x, axis, k, ascending=ascending)
    return made if return_indices else made[:1]


# Places outside of the axis have no defined result.
_OF_PLACES = ignores("validate_indices")


def _places(b: Builder, indices: str, batch_dims: int) -> str:
    """Return the indices of a gather as whole numbers."""
    if batch_dims:
        raise UnsupportedError("takes other places for each image of the batch")
    return cast_to_int(b, indices)


@_OF_PLACES
def _gather(
    b: Builder,
    x: Tensor,
    indices: Tensor,
    axis: Whole = 0,
    batch_dims: Whole = 0,
) -> str:
    return ops.gather(b, x, _places(b, indices, batch_dims), axis=axis)


@_OF_PLACES
def _gather_along(b: Builder, x: Tensor, indices: Tensor, axis: Whole = 0) -> str:
    return ops.gather_elements(b, x, cast_to_int(b, indices), axis=axis)


@_OF_PLACES
def _gather_nd(b: Builder, x: Tensor, indices: Tensor, batch_dims: Whole = 0) -> str:
    return ops.gather_nd(b, x, _places(b, indices, batch_dims))


def _running_sums(
    b: Builder, x: Tensor, axis: Whole = 0, exclusive: Flag = False, reverse: Flag = False
) -> str:
    return ops.cumulative_sum(b, x, [axis], exclusive=exclusive, reverse=reverse)


def _one_hot(
    b: Builder, indices: Tensor, one_hot_vector_size: Whole, axis: Whole = -1, on_value: Real = 1.0,
    off_value: Real = 0.0,
) -> str:  # fmt: skip
    depth, rank = one_hot_vector_size, b.rank(indices)
    if not 0 < depth <= _LARGEST or not -rank - 1 <= axis <= rank:
        raise WeightsError(f"damaged: {depth} places on axis {axis} of {rank + 1}")
    values = b.weight("values", np.asarray([off_value, on_value], np.float32))
    return ops.one_hot(b, cast_to_int(b, indices), [depth], values, axis=axis)


# ---- Scattering ----------------------------------------------------------------------------------------------------

Mode = Annotated[Literal["update", "add", "mul", "max", "min"], Operand()]


def _reduction(mode: str) -> str:
    return "none" if mode == "update" else mode


@_OF_PLACES
def _scatter_along(
    b: Builder, data: Tensor, indices: Tensor, updates: Tensor, axis: Whole = 0, mode: Mode = "add",
) -> str:  # fmt: skip
    """Write elements at positions along an axis."""
    places = cast_to_int(b, indices)
    return ops.scatter_elements(b, data, places, updates, reduction=_reduction(mode), axis=axis)


@_OF_PLACES
def _scatter_nd(
    b: Builder,
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: Mode = "add",
) -> str:
    return ops.scatter_nd(b, data, cast_to_int(b, indices), updates, reduction=_reduction(mode))


@_OF_PLACES
def _scatter_slices(
    b: Builder, data: Tensor, indices: Tensor, updates: Tensor, axis: Whole = 0, mode: Mode = "add",
) -> str:  # fmt: skip
    """Convert scatter: write slices of an axis at the positions of a vector."""
    axis, extents = b.axis(data, axis), b.fixed_shape(updates)
    if b.rank(indices) != 1 or len(extents) != b.rank(data):
        raise WeightsError(f"damaged: {b.rank(indices)} axes of positions for slices {extents}")
    shape = [-1 if number == axis else 1 for number in range(len(extents))]
    spread = ops.expand(b, ops.reshape(b, cast_to_int(b, indices), shape), extents)
    return _scatter_along(b, data, spread, updates, axis, mode)


INDEXING: dict[str, Row] = {
    "argsort": _order,
    "cumsum": _running_sums,
    "gather": _gather,
    "gather_along_axis": _gather_along,
    "gather_nd": _gather_nd,
    "one_hot": _one_hot,
    "scatter": _scatter_slices,
    "scatter_along_axis": _scatter_along,
    "scatter_nd": _scatter_nd,
    "topk": _top_k,
}
