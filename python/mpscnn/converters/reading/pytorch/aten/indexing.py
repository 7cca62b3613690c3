"""Write ATen's operators that read or write elements at positions as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError


def _index(g: Writer, x: str, indices: Sequence[str | None]) -> str:
    """Write indexing by constant positions: of one axis, or of neighbouring axes together."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(given) == 1 and g.kind_of(given[0][1]) == "int":
        return ops.gather(g, x, given[0][1], axis=given[0][0])
    arrays = [g.arrays.get(index) for _, index in given]
    first, last = given[0][0], given[-1][0]
    constant = [array for array in arrays if array is not None]
    if len(constant) < len(given) or last - first + 1 != len(given):
        raise UnsupportedError(f"takes places of {len(given)} axes at once that are computed or apart")
    return _index_together(g, x, first, constant)


def _index_together(g: Writer, x: str, first: int, arrays: Sequence[np.ndarray[Any, Any]]) -> str:
    """Write indexing of neighbouring axes: they become one axis, whose elements are taken."""
    shape = g.shapes[x]
    places: list[np.ndarray[Any, Any]] = []
    for array in arrays:
        places += np.nonzero(array) if array.dtype == np.bool_ else [array]
    extents = [int(extent) for extent in shape[first : first + len(places)]]
    wrapped = [place % extent for place, extent in zip(places, extents, strict=True)]
    flat = np.ravel_multi_index(np.broadcast_arrays(*wrapped), tuple(extents))
    joined = g.reshaped(x, [*shape[:first], int(np.prod(extents)), *shape[first + len(places) :]])
    return ops.gather(g, joined, g.constant(np.asarray(flat, np.int64)), axis=first)


def _top_k(
    g: Writer, x: str, count: int, axis: int = -1, largest: bool = True, _: bool = True
) -> tuple[str, str]:
    number = g.axis(x, axis)
    values, positions = ops.top_k(g, x, [count], axis=number, largest=int(largest))
    return values, positions


def _sort(g: Writer, x: str, axis: int = -1, descending: bool = False) -> tuple[str, str]:
    return _top_k(g, x, int(g.shapes[x][axis]), axis, descending)


def _scatter(g: Writer, x: str, axis: int, index: str, source: str | float) -> str:
    updates = g.operand(source)
    if not isinstance(source, str):
        updates = ops.expand(g, updates, g.shapes[index])
    return ops.scatter_elements(g, g.operand(x), index, updates, axis=g.axis(x, axis))


def _index_put(
    g: Writer, x: str, indices: Sequence[str | None], values: str, accumulate: bool = False, _: bool = False
) -> str:
    """Write an assignment to constant positions of neighbouring axes, or of one number where a mask is true."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    first, last = given[0][0], given[-1][0]
    arrays = [array for _, index in given if (array := g.arrays.get(index)) is not None]
    if not accumulate and len(arrays) == len(given) and last - first + 1 == len(given):
        return _put(g, x, first, arrays, values)
    index = given[0][1]
    is_mask = len(given) == 1 and first == 0 and g.kind_of(index) == "bool"
    if accumulate or not is_mask or math.prod(g.shapes.get(values, ())) != 1:
        raise UnsupportedError(
            "writes at places that are computed or of axes that are apart, or adds to elements"
        )
    mask = ops.unsqueeze(g, index, [*range(len(g.shapes[index]), len(g.shapes[x]))])
    return ops.where(g, mask, g.operand(values), g.operand(x))


def _put(g: Writer, x: str, first: int, arrays: Sequence[np.ndarray[Any, Any]], values: str) -> str:
    """Write an assignment to constant positions of the axes from `first` on.

    After the batch, the axes become one axis, to which the new elements are appended. Then each position takes its own
    element, or the last one that is assigned to it.
    """
    places: list[np.ndarray[Any, Any]] = []
    for array in arrays:
        places += np.nonzero(array) if array.dtype == np.bool_ else [array]
    shape = g.shapes[x]
    after = first + len(places)
    extents = tuple(int(extent) for extent in shape[first:after])
    wrapped = np.broadcast_arrays(*[place % extent for place, extent in zip(places, extents, strict=True)])
    count, flat = math.prod(extents), np.ravel_multi_index(wrapped, extents).reshape(-1)
    if not flat.size:
        return g.operand(x)
    updates = ops.expand(g, g.operand(values), [*shape[:first], *wrapped[0].shape, *shape[after:]])
    if first == 0:
        stacked = np.stack(wrapped, -1).astype(np.int64)
        return ops.scatter_nd(g, g.operand(x), g.constant(stacked), updates)
    updates = g.reshaped(updates, [*shape[:first], len(flat), *shape[after:]])
    chosen = np.arange(count)
    chosen[flat] = count + np.arange(len(flat))
    joined = g.reshaped(g.operand(x), [*shape[:first], count, *shape[after:]])
    both = ops.concatenate(g, joined, updates, axis=first)
    return g.reshaped(ops.gather(g, both, g.constant(chosen), axis=first), shape)


_SAMPLES = ("bilinear", "nearest", "bicubic")
_BORDERS = ("zeros", "border", "reflection")


def _grid_sample(g: Writer, x: str, grid: str, mode: int, border: int, align_corners: bool | None) -> str:
    kinds = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
    settings = {"mode": kinds[_SAMPLES[mode]], "padding_mode": _BORDERS[border]}
    return ops.sample_grid(g, x, grid, align_corners=int(bool(align_corners)), **settings)


INDEXING: dict[str, Row] = {
    "index.Tensor": _index,
    "_unsafe_index.Tensor": _index,
    "index_select.default": lambda g, x, axis, index: ops.gather(g, x, index, axis=g.axis(x, axis)),
    "gather.default": lambda g, x, axis, index, **_: ops.gather_elements(g, x, index, axis=g.axis(x, axis)),
    "embedding.default": lambda g, table, positions, *_: ops.gather(g, table, positions, axis=0),
    "topk.default": _top_k,
    "sort.default": _sort,
    "sort.stable": lambda g, x, *, dim=-1, descending=False, **_: _sort(g, x, dim, descending),
    "scatter.src": _scatter,
    "scatter.value": _scatter,
    "index_put.default": _index_put,
    "triu.default": lambda g, x, diagonal=0: ops.triangle(g, g.operand(x), [diagonal], upper=1),
    "tril.default": lambda g, x, diagonal=0: ops.triangle(g, g.operand(x), [diagonal], upper=0),
    "grid_sampler.default": _grid_sample,
    "grid_sampler_2d.default": _grid_sample,
}
