"""The functions that move, select, join and make elements of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.reading.onnx.expansions import CAST_OF_FLOATS, COMPUTED, PART, Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import added, adds, binary, several, unary

extents = unary("Shape")
number_of_elements = unary("Size")
expand = binary("Expand")
cast_of_floats = unary(CAST_OF_FLOATS)
squeeze = binary("Squeeze")
tile = binary("Tile")
unsqueeze = binary("Unsqueeze")


@adds("Cast")
def cast(g: Operators, x: Operand, *, to: int) -> str:
    """Add a cast to a type of elements."""
    return added(g, cast, x, to=to)


@adds(COMPUTED)
def computed(g: Operators, *x: Operand, function: Callable[..., Any]) -> str:
    """Add an array that a function computes from arrays."""
    return added(g, computed, *x, function=function)


@adds("Concat")
def concatenate(g: Operators, *x: Operand, axis: int) -> str:
    """Join tensors along an axis."""
    return added(g, concatenate, *x, axis=axis)


@adds("DepthToSpace")
def depth_to_space(g: Operators, x: Operand, *, blocksize: int, mode: str) -> str:
    """Move channels into blocks of pixels. The mode is "DCR" or "CRD", the order of columns, rows and depth."""
    return added(g, depth_to_space, x, blocksize=blocksize, mode=mode)


@adds("Flatten")
def flatten(g: Operators, x: Operand, *, axis: int) -> str:
    """Reshape to a matrix: the axes before `axis`, and the others."""
    return added(g, flatten, x, axis=axis)


@adds("Gather")
def gather(g: Operators, x: Operand, indices: Operand, *, axis: int) -> str:
    """Take slices of an axis at positions."""
    return added(g, gather, x, indices, axis=axis)


@adds("GatherElements")
def gather_elements(g: Operators, x: Operand, indices: Operand, *, axis: int) -> str:
    """Take elements along an axis, at a position for each."""
    return added(g, gather_elements, x, indices, axis=axis)


@adds("GatherND")
def gather_nd(g: Operators, x: Operand, indices: Operand, *, batch_dims: int | None = None) -> str:
    """Take slices at positions of several axes."""
    return added(g, gather_nd, x, indices, batch_dims=batch_dims)


@adds("ConstantOfShape")
def filled(g: Operators, shape: Operand, name: str, *, value: NDArray[Any]) -> str:
    """Add a tensor of a shape with this name, whose elements are all the same number: that of an array of one."""
    return several(g, filled, [shape], [name], value=value)[0]


@adds("OneHot")
def one_hot(g: Operators, indices: Operand, depth: Operand, values: Operand, *, axis: int) -> str:
    """Add an axis, in which one element has the second of two values, and the others have the first."""
    return added(g, one_hot, indices, depth, values, axis=axis)


@adds("Pad")
def pad(g: Operators, x: Operand, amounts: Operand, *value: Operand, mode: str | None = None) -> str:
    """Add a border: of a value, or of elements of the tensor."""
    return added(g, pad, x, amounts, *value, mode=mode)


@adds(PART)
def part(g: Operators, x: Operand, *, entries: Sequence[slice]) -> str:
    """Take a part of each axis by slices, as in NumPy."""
    return added(g, part, x, entries=entries)


@adds("Range")
def progression(g: Operators, start: Operand, end: Operand, step: Operand) -> str:
    """Add the numbers from `start` on, with steps, before `end`."""
    return added(g, progression, start, end, step)


@adds("Reshape")
def reshape(g: Operators, x: Operand, shape: Operand, *, allowzero: int | None = None) -> str:
    """Reshape a tensor. An extent of 0 stays as it is, unless `allowzero` is 1."""
    return added(g, reshape, x, shape, allowzero=allowzero)


@adds("ScatterElements")
def scatter_elements(
    g: Operators, x: Operand, indices: Operand, updates: Operand, *, axis: int, reduction: str | None = None
) -> str:
    """Write elements along an axis, at a position for each."""
    return added(g, scatter_elements, x, indices, updates, axis=axis, reduction=reduction)


@adds("ScatterND")
def scatter_nd(
    g: Operators, x: Operand, indices: Operand, updates: Operand, *, reduction: str | None = None
) -> str:
    """Write slices at positions of several axes."""
    return added(g, scatter_nd, x, indices, updates, reduction=reduction)


@adds("Slice")
def slice_axes(g: Operators, x: Operand, starts: Operand, ends: Operand, *axes_and_steps: Operand) -> str:
    """Take a part of some axes, or of all. The last operands are the axes and the steps."""
    return added(g, slice_axes, x, starts, ends, *axes_and_steps)


@adds("SpaceToDepth")
def space_to_depth(g: Operators, x: Operand, *, blocksize: int, mode: str | None = None) -> str:
    """Move blocks of pixels into channels. The modes are those of `depth_to_space`."""
    return added(g, space_to_depth, x, blocksize=blocksize, mode=mode)


@adds("Split")
def split(g: Operators, x: Operand, sizes: Sequence[Any], *, axis: int) -> list[str]:
    """Split a tensor along an axis into parts of these sizes."""
    return several(g, split, [x, sizes], len(sizes), axis=axis)


@adds("Transpose")
def transpose(g: Operators, x: Operand, *, perm: Sequence[int]) -> str:
    """Put the axes into another order."""
    return added(g, transpose, x, perm=perm)


@adds("Trilu")
def triangle(g: Operators, x: Operand, diagonal: Operand, *, upper: int) -> str:
    """Set all elements above a diagonal to 0, or with `upper=1` those below it."""
    return added(g, triangle, x, diagonal, upper=upper)
